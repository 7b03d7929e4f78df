package credentials

import (
	"fmt"
	"strings"

	"vpcmirror.io/operator/controllers/cloud"
)

// The variables of the operator's own credentials. The first four are those of the
// cloud's SDKs.
const (
	EnvAccessKey     = "HUAWEICLOUD_SDK_AK"
	EnvSecretKey     = "HUAWEICLOUD_SDK_SK" // the name of a variable
	EnvSecurityToken = "HUAWEICLOUD_SDK_SECURITY_TOKEN"
	EnvProjectID     = "HUAWEICLOUD_SDK_PROJECT_ID"
	EnvRegion        = "VPCMIRROR_REGION"
	EnvEndpoint      = "VPCMIRROR_ENDPOINT"
	EnvIAMEndpoint   = "VPCMIRROR_IAM_ENDPOINT"
	EnvAgencyName    = "VPCMIRROR_AGENCY_NAME"
	EnvAgencyDomain  = "VPCMIRROR_AGENCY_DOMAIN"
)

// FromEnvironment reads the operator's own credentials; getenv is os.Getenv or a
// test's. Without keys they are empty, which is fine as long as every object names a
// Secret. One key without the other is an error.
func FromEnvironment(getenv func(string) string) (cloud.Credentials, error) {
	get := func(name string) string { return strings.TrimSpace(getenv(name)) }
	c := cloud.Credentials{
		AccessKey:     get(EnvAccessKey),
		SecretKey:     get(EnvSecretKey),
		SecurityToken: get(EnvSecurityToken),
		Region:        get(EnvRegion),
		ProjectID:     get(EnvProjectID),
		Endpoint:      get(EnvEndpoint),
		IAMEndpoint:   get(EnvIAMEndpoint),
		Agency:        cloud.Agency{Name: get(EnvAgencyName), Domain: get(EnvAgencyDomain)},
	}
	for _, name := range []string{EnvAccessKey, EnvSecretKey, EnvSecurityToken, EnvProjectID, EnvRegion, EnvEndpoint, EnvIAMEndpoint, EnvAgencyName, EnvAgencyDomain} {
		if found := stranger(getenv(name)); found != "" {
			return cloud.Credentials{}, fmt.Errorf("%s has %s, where only letters, digits and signs of ASCII can be: set it without that", name, found)
		}
	}
	if (c.AccessKey == "") != (c.SecretKey == "") {
		return cloud.Credentials{}, fmt.Errorf("set both %s and %s, or neither to have every object name a Secret", EnvAccessKey, EnvSecretKey)
	}
	return c, checkAgency(c.Agency, EnvAgencyName, EnvAgencyDomain, "the environment")
}
