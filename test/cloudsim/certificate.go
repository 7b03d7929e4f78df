package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// certificateFlags say whether the cloud is served over HTTPS, and with which certificate.
type certificateFlags struct{ cert, key, made string }

func (f *certificateFlags) register(flags *flag.FlagSet) {
	flags.StringVar(&f.cert, "tls-cert", "", "`file` with a certificate in PEM form: serve HTTPS with it; needs --tls-key")
	flags.StringVar(&f.key, "tls-key", "", "`file` with the key of --tls-cert in PEM form")
	flags.StringVar(&f.made, "tls-made", "", "serve HTTPS with a certificate made at the start for the address of --listen and for localhost, and write it into this `file`, for clients to trust (for cloudsim call: SSL_CERT_FILE)")
}

// load gives the certificate, or nil for plain HTTP; listen is the address that it is for.
func (f *certificateFlags) load(listen string) (*tls.Certificate, error) {
	switch {
	case f.made != "" && (f.cert != "" || f.key != ""):
		return nil, errors.New("--tls-made and --tls-cert exclude each other; give one of them")
	case f.made != "":
		return f.make(listen)
	case f.cert == "" && f.key == "":
		return nil, nil
	case f.cert == "" || f.key == "":
		return nil, errors.New("--tls-cert and --tls-key need each other; give both")
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
	}
	return &pair, nil
}

// make makes a certificate that is its own authority.
func (f *certificateFlags) make(listen string) (*tls.Certificate, error) {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("--listen %s is no address with a port: %w", listen, err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "cloudsim"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = append(template.IPAddresses, ip)
	} else if host != "" {
		template.DNSNames = append(template.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	if err := os.WriteFile(f.made, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil { //nolint:gosec // a certificate is public
		return nil, fmt.Errorf("--tls-made: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
