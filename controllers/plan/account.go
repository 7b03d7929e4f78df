package plan

import (
	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// SameAccount reports whether the account that a status records is the given one. None
// recorded is no account's.
func SameAccount(recorded *v1alpha1.Account, account cloud.Account) bool {
	return recorded != nil && AccountOf(recorded) == account
}

// AccountOf returns an account as the port names it.
func AccountOf(recorded *v1alpha1.Account) cloud.Account {
	return cloud.Account{Region: recorded.Region, ProjectID: recorded.ProjectID, Endpoint: recorded.Endpoint}
}
