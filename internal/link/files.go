package link

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"

	"github.com/latchkey/latchkey/internal/disk"
	"github.com/latchkey/latchkey/internal/serve"
)

// files are a certificate, its key and CAs in PEM files.
type files struct {
	certificate, key, ca string
	log                  *slog.Logger
	calls                *disk.Calls
	open                 sync.Once // the key's rights are told once
}

func (f *files) read(ctx context.Context) (*material, error) {
	// The certificate and its key may be of two moments, when they are replaced
	// one after the other: they don't fit then, and are read again soon.
	chain, err := f.readFile(ctx, f.certificate)
	if err != nil {
		return nil, fmt.Errorf("tls.certificate: %w", err)
	}
	key, err := f.readKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("tls.key: %w", err)
	}
	if _, err := certificatesOf(f.certificate, chain); err != nil {
		return nil, fmt.Errorf("tls.certificate: %w", err)
	}
	m := &material{}
	if m.certificate, err = tls.X509KeyPair(chain, key); err != nil {
		return nil, fmt.Errorf("tls.key: %s is no key for the certificate of %s: give the key that it was issued for, in PEM and without a passphrase: %w", f.key, f.certificate, err)
	}
	if err := usable(m.leaf(), "tls.certificate: "+f.certificate); err != nil {
		return nil, err
	}
	if m.roots, err = f.readCAs(ctx); err != nil {
		return nil, fmt.Errorf("tls.ca: %w", err)
	}
	return m, nil
}

func (f *files) readKey(ctx context.Context) ([]byte, error) {
	info, err := disk.Call(ctx, f.calls, f.key, func() (fs.FileInfo, error) { return os.Stat(f.key) })
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o007 != 0 {
		f.open.Do(func() {
			f.log.Warn("every user of this machine may use the private key: take the rights of others from it", "file", f.key, "mode", info.Mode().String())
		})
	}
	return f.readFile(ctx, f.key)
}

// certificatesOf returns the certificates of a PEM file, which holds nothing else: who may read a certificate mustn't come by
// a key. A block that was cut off, as in half a file, is an error.
func certificatesOf(file string, text []byte) ([][]byte, error) {
	var all [][]byte
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s holds a PEM block of the type %q: it may have certificates alone", file, block.Type)
		}
		all = append(all, block.Bytes)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	if bytes.Count(text, []byte("-----BEGIN")) != len(all) {
		return nil, fmt.Errorf("%s is broken or cut off: %d certificates of it can be read, and there are more", file, len(all))
	}
	return all, nil
}

// maxFile is more than a bundle of CAs takes.
const maxFile = 4 << 20

// readFile reads a file that is followed: neither a pipe, nor a device without an end, nor a file system that is gone may
// hold up the process.
func (f *files) readFile(ctx context.Context, name string) ([]byte, error) {
	text, err := f.calls.Read(ctx, name, maxFile)
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is larger than the %d bytes that are read", name, maxFile)
	}
	return text, err
}

func (f *files) readCAs(ctx context.Context) (*x509.CertPool, error) {
	file := f.ca
	text, err := f.readFile(ctx, file)
	if err != nil {
		return nil, err
	}
	found, err := certificatesOf(file, text)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for i, one := range found {
		ca, err := x509.ParseCertificate(one)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of %s can't be read: %w", i+1, file, err)
		}
		if !ca.IsCA {
			return nil, fmt.Errorf("certificate %d of %s is of no CA: name those that sign the certificates of others", i+1, file)
		}
		pool.AddCert(ca)
	}
	return pool, nil
}

func (f *files) follow(ctx context.Context, take func(*material), failed func(error)) error {
	f.calls = &disk.Calls{}
	watcher, err := serve.NewWatcher(ctx, f.log, f.certificate, f.key, f.ca)
	if err != nil {
		return err
	}
	again := func(ctx context.Context) {
		switch m, err := f.read(ctx); {
		case ctx.Err() != nil:
		case err != nil:
			failed(err)
		default:
			take(m)
		}
	}
	again(ctx) // they may have changed since they were read
	return watcher.Run(ctx, again)
}
