package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The files of a directory of certificates.
const (
	AuthorityFile    = "ca.crt" // one certificate, or two while the authority changes
	AuthorityKeyFile = "ca.key"
	NodeFile         = "node.crt"
	NodeKeyFile      = "node.key"
)

const (
	pemCertificate = "CERTIFICATE"
	pemKey         = "PRIVATE KEY"
	maxFileBytes   = 1 << 20
)

// file is one to be written.
type file struct {
	name string
	mode fs.FileMode
	text []byte
}

// write makes dir and files in it, all or none; none of them may be there yet.
func write(dir string, files ...file) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var made []string
	defer func() {
		if err != nil {
			for _, path := range made {
				_ = os.Remove(path)
			}
		}
	}()
	for _, one := range files {
		path := filepath.Join(dir, one.name)
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, one.mode)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s is there already; nothing was written", path)
		}
		if err != nil {
			return err
		}
		made = append(made, path)
		_, err = f.Write(one.text)
		if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// read reads a file of at most a megabyte.
func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFileBytes || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: must be a file of at most 1 MiB", path)
	}
	return os.ReadFile(path)
}

// parseCertificates reads PEM. There is at least one in it.
func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != pemCertificate {
			return nil, fmt.Errorf("has a %s beside its certificates", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("has no certificate in PEM")
	}
	return all, nil
}

func readCertificates(path string) ([]*x509.Certificate, error) {
	text, err := read(path)
	if err != nil {
		return nil, err
	}
	all, err := parseCertificates(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

// parseKey reads a private key in PKCS 8, as PEM.
func parseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != pemKey {
		return nil, errors.New("has no private key in PKCS 8, as PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("is a key that can't sign")
	}
	return signer, nil
}

// readKey reads a key that others on the machine can't.
func readKey(path string) (crypto.Signer, error) {
	if err := private(path); err != nil {
		return nil, err
	}
	text, err := read(path)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pemOfKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pemOf(pemKey, der), nil
}
