package capture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"vpcmirror.io/operator/controllers/verifier/capture"
)

func packGzip(content []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(content) // a bytes.Buffer takes all
	_ = w.Close()
	return b.Bytes()
}

func packZstd(content []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return w.EncodeAll(content, nil)
}

func TestOfACompressedFileThatIsCutWhatCameBeforeIsRead(t *testing.T) {
	var many []record
	for i := range 5000 {
		many = append(many, record{Data: strings.Repeat(string(rune('a'+i%23)), 1+i*7919%97), Length: 1514})
	}
	content := classic(binary.LittleEndian, 0xa1b2c3d4, 1000, 1, many...)
	for name, c := range map[string]struct {
		file []byte
		want error
	}{
		"gzip":             {packGzip(content), capture.ErrCut},
		"gzip, damaged":    {flip(packGzip(content)), capture.ErrDamaged},
		"zstd":             {blocks(t, content), capture.ErrCut},
		"zstd, of no sort": {append(packZstd(content), "and more"...), capture.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			file := c.file
			if errors.Is(c.want, capture.ErrCut) {
				file = file[:len(file)-9]
			}
			got, err := readBytes(file)
			if !errors.Is(err, c.want) || len(got) == 0 {
				t.Fatalf("%d frames, %v", len(got), err)
			}
			if diff := cmp.Diff(many[:len(got)], got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// flip damages the check sum at the end of a file of gzip.
func flip(b []byte) []byte {
	b[len(b)-8] ^= 0xff
	return b
}

// blocks packs content in several blocks of zstd.
func blocks(t *testing.T, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(content); at += 1000 {
		if _, err := w.Write(content[at:min(at+1000, len(content))]); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAnErrorOfTheReaderBelowACompressedFileIsToldAsItIs(t *testing.T) {
	broken := errors.New("the disk is on fire")
	for name, file := range map[string][]byte{
		"gzip": packGzip(classic(binary.LittleEndian, 0xa1b2c3d4, 1000, 1, three...)),
		"zstd": packZstd(classic(binary.LittleEndian, 0xa1b2c3d4, 1000, 1, three...)),
	} {
		t.Run(name, func(t *testing.T) {
			for n := 4; n < len(file); n++ {
				f, err := capture.NewFile(io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(broken)))
				if err == nil {
					_, err = readAll(f)
				}
				if !errors.Is(err, broken) {
					t.Fatalf("%d bytes of %d: %v", n, len(file), err)
				}
			}
		})
	}
}
