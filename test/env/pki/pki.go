// Package pki makes the certificates of a cluster for tests: one authority, the API
// server's certificate, and one for each component, node and user.
//
// It may import nothing of ours.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// validity bounds every certificate. What is tested lives for minutes, a lab or a demo
// that somebody keeps up for some days.
const validity = 14 * 24 * time.Hour

// Authority signs.
type Authority struct {
	// CertPEM is its own certificate.
	CertPEM []byte

	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

// Pair is a certificate and its key, both PEM encoded.
type Pair struct{ Cert, Key []byte }

// New makes an authority.
func New() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of the certificate authority: %w", err)
	}
	template, err := template(pkix.Name{CommonName: "vpcmirror-test-ca"})
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the certificate authority: %w", err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the certificate authority back: %w", err)
	}
	return &Authority{CertPEM: encode("CERTIFICATE", der), key: key, certificate: parsed}, nil
}

// Load reads an authority back from its certificate and the key that KeyPEM returned.
func Load(certPEM, keyPEM []byte) (*Authority, error) {
	certBlock, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certBlock == nil || keyBlock == nil {
		return nil, errors.New("certificate or key of the certificate authority is no PEM")
	}
	parsed, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read the certificate of the certificate authority: %w", err)
	}
	key, err := x509.ParseECPrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read the key of the certificate authority: %w", err)
	}
	return &Authority{CertPEM: certPEM, key: key, certificate: parsed}, nil
}

// KeyPEM is its key, for a later Load.
func (a *Authority) KeyPEM() ([]byte, error) { return encodeKey(a.key) }

// Server makes a server's certificate for names and addresses.
func (a *Authority) Server(name string, names []string, addresses ...net.IP) (Pair, error) {
	template, err := template(pkix.Name{CommonName: name})
	if err != nil {
		return Pair{}, err
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.DNSNames, template.IPAddresses = names, addresses
	return a.sign(template)
}

// Expired makes a server's certificate that was valid until an hour ago.
func (a *Authority) Expired(name string, addresses ...net.IP) (Pair, error) {
	template, err := template(pkix.Name{CommonName: name})
	if err != nil {
		return Pair{}, err
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.IPAddresses = addresses
	template.NotAfter = time.Now().Add(-time.Hour)
	template.NotBefore = template.NotAfter.Add(-validity)
	return a.sign(template)
}

// Client makes a user's certificate. Kubernetes reads the user's name in the common
// name and its groups in the organizations.
func (a *Authority) Client(user string, groups ...string) (Pair, error) {
	template, err := template(pkix.Name{CommonName: user, Organization: groups})
	if err != nil {
		return Pair{}, err
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.sign(template)
}

func (a *Authority) sign(template *x509.Certificate) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make the key of %s: %w", template.Subject.CommonName, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("sign the certificate of %s: %w", template.Subject.CommonName, err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{Cert: encode("CERTIFICATE", der), Key: keyPEM}, nil
}

// TokenKey makes the key that signs the tokens of ServiceAccounts.
func TokenKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of service account tokens: %w", err)
	}
	return encodeKey(key)
}

func template(subject pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: subject, KeyUsage: x509.KeyUsageDigitalSignature,
		// An hour back, so that a clock set while it runs doesn't void it.
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(validity),
	}, nil
}

// encodeKey uses the form of RFC 5915: of PKCS #8 the API server takes a private key,
// but not the public half, which it wants for ServiceAccount tokens.
func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	return encode("EC PRIVATE KEY", der), nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
