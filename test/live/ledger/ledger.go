// Package ledger keeps the list of all that a run made in an account: what it is about to create before each call, what
// came of it after, each line on disk before the run goes on. Whatever ends the run, the file says what may be there.
//
// It may import nothing of ours.
package ledger

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Kind is the kind of an object, in the words of the API's paths.
type Kind string

// The kinds, in the order in which they have to be deleted.
const (
	Session Kind = "traffic-mirror-sessions"
	Rule    Kind = "traffic-mirror-filter-rules"
	Filter  Kind = "traffic-mirror-filters"
)

// Kinds lists the kinds in the order in which objects have to be deleted: what refers to others goes first.
func Kinds() []Kind { return []Kind{Session, Rule, Filter} }

// Event is what a line tells.
type Event string

// The events.
const (
	// Began is the first line: which account, and the mark of the run.
	Began Event = "began"
	// Creating: a create is about to be sent. From here on the object may exist.
	Creating Event = "creating"
	// Created: the cloud answered with the object's ID.
	Created Event = "created"
	// Refused: the cloud answered with an error below 500, and made nothing.
	Refused Event = "refused"
	// Unknown: no answer came, or one that does not say whether it was made.
	Unknown Event = "unknown"
	// Deleted: the cloud says that the object is gone.
	Deleted Event = "deleted"
	// Searched: the account was searched for the run's mark, and nothing with it was left.
	Searched Event = "searched"
)

// Run is what a ledger is about.
type Run struct {
	// Mark is in the name or the description of all that the run makes.
	Mark string `json:"mark"`
	// Endpoint is the origin of the VPC service.
	Endpoint string `json:"endpoint"`
	Region   string `json:"region"`
	Project  string `json:"project"`
}

// Line is one line of the file.
type Line struct {
	Time  time.Time `json:"time"`
	Event Event     `json:"event"`
	Run   *Run      `json:"run,omitempty"`
	// Number joins the lines about one create, from 1.
	Number int    `json:"number,omitempty"`
	Kind   Kind   `json:"kind,omitempty"`
	ID     string `json:"id,omitempty"`
	Note   string `json:"note,omitempty"`
}

// Made is a create and what is known of it.
type Made struct {
	Number int
	Kind   Kind
	// ID is empty while the cloud has not told it: the object may exist or not.
	ID string
}

// Book is what the lines say together. The zero value is an empty one.
type Book struct {
	Run  Run
	open map[int]Made
	ever map[string]bool
	last int
}

// Take adds a line.
func (b *Book) Take(line Line) {
	if b.open == nil {
		b.open, b.ever = map[int]Made{}, map[string]bool{}
	}
	b.last = max(b.last, line.Number)
	switch line.Event {
	case Began:
		if line.Run != nil {
			b.Run = *line.Run
		}
	case Creating:
		b.open[line.Number] = Made{Number: line.Number, Kind: line.Kind}
	case Created:
		b.open[line.Number] = Made{Number: line.Number, Kind: line.Kind, ID: line.ID}
		b.ever[line.ID] = true
	case Refused:
		delete(b.open, line.Number)
	case Unknown: // it stays open, without an ID
	case Deleted:
		for number, made := range b.open {
			if made.ID == line.ID {
				delete(b.open, number)
			}
		}
	case Searched:
		for number, made := range b.open {
			if made.ID == "" {
				delete(b.open, number)
			}
		}
	}
}

// Open lists what may still exist, in the order in which it has to be deleted: by kind, the youngest first.
func (b *Book) Open() []Made {
	var out []Made
	for _, made := range b.open {
		out = append(out, made)
	}
	kinds := Kinds()
	slices.SortFunc(out, func(a, c Made) int {
		if byKind := slices.Index(kinds, a.Kind) - slices.Index(kinds, c.Kind); byKind != 0 {
			return byKind
		}
		return c.Number - a.Number
	})
	return out
}

// Owns reports whether the run made the object with this ID, be it gone or not.
func (b *Book) Owns(id string) bool { return b.ever[id] }

// File is a ledger. Its methods may be called at the same time.
type File struct {
	mu   sync.Mutex
	book Book
	file *os.File // nil: in memory alone
	now  func() time.Time
}

// Memory returns a ledger without a file, for what ends with the process.
func Memory(run Run) *File {
	f := &File{now: time.Now}
	f.book.Take(Line{Event: Began, Run: &run})
	return f
}

// Create makes the file of a new run; one that is there already is an error.
func Create(path string, run Run) (*File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the ledger: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the ledger: %w", err)
	}
	f := &File{file: file, now: time.Now}
	if err := lock(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if err := f.write(Line{Event: Began, Run: &run}); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return f, syncFolder(filepath.Dir(path))
}

// Open reads the ledger of an earlier run, and goes on with it.
func Open(path string) (*File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	f, err := resume(file)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the ledger %s: %w", path, err), file.Close())
	}
	return f, nil
}

func resume(file *os.File) (*File, error) {
	if err := lock(file); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	book, err := Read(data)
	if err != nil {
		return nil, err
	}
	if data[len(data)-1] != '\n' {
		// The run was killed while it wrote: what it wrote is a line of its own.
		if _, err := file.WriteString("\n"); err != nil {
			return nil, err
		}
	}
	return &File{book: book, file: file, now: time.Now}, nil
}

// lock keeps a second process from a ledger: a run that goes on must not be cleaned away. The kernel lets go of it with the
// process.
func lock(file *os.File) error {
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("another process has the ledger, let it end first: %w", err)
	}
	return nil
}

// ErrNeverBegun is that of a ledger whose run was killed before the first line was on the disk: it has sent nothing.
var ErrNeverBegun = errors.New("the run was ended before it sent anything")

// Read reads the lines of a ledger. A last line that was cut off is left out; it told of a call that was never sent, as
// each line is on disk before its call. Elsewhere a line that can't be read is an error, but for one that the run after
// has ended.
func Read(data []byte) (Book, error) {
	var book Book
	if len(data) == 0 {
		return book, ErrNeverBegun
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var line Line
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			if number == 1 && !bytes.ContainsRune(data, '\n') {
				return book, ErrNeverBegun
			}
			if number == 1 {
				return book, fmt.Errorf("line 1 is not that of a ledger: %w", err)
			}
			continue
		}
		book.Take(line)
	}
	if err := lines.Err(); err != nil {
		return book, fmt.Errorf("a line is too long: %w", err)
	}
	if book.Run.Mark == "" {
		return book, errors.New("it does not begin with the run's mark")
	}
	return book, nil
}

// Run says what the ledger is about.
func (f *File) Run() Run {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.book.Run
}

// Open lists what may still exist, in the order in which it has to be deleted.
func (f *File) Open() []Made {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.book.Open()
}

// Owns reports whether the run made the object with this ID.
func (f *File) Owns(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.book.Owns(id)
}

// Creating notes that a create is about to be sent, and returns its number. Only once it is noted may the call be sent.
func (f *File) Creating(kind Kind) (int, error) {
	f.mu.Lock()
	number := f.book.last + 1
	f.mu.Unlock()
	return number, f.write(Line{Event: Creating, Number: number, Kind: kind})
}

// Created notes the ID of what was made.
func (f *File) Created(number int, kind Kind, id string) error {
	return f.write(Line{Event: Created, Number: number, Kind: kind, ID: id})
}

// Refused notes that nothing was made.
func (f *File) Refused(number int, kind Kind, why string) error {
	return f.write(Line{Event: Refused, Number: number, Kind: kind, Note: why})
}

// Unknown notes that it can't be told whether something was made.
func (f *File) Unknown(number int, kind Kind, why string) error {
	return f.write(Line{Event: Unknown, Number: number, Kind: kind, Note: why})
}

// Deleted notes that the object is gone.
func (f *File) Deleted(kind Kind, id string) error {
	return f.write(Line{Event: Deleted, Kind: kind, ID: id})
}

// Searched notes that nothing with the run's mark is left, which settles the creates of which nothing was known.
func (f *File) Searched() error { return f.write(Line{Event: Searched}) }

// Close closes the file.
func (f *File) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

func (f *File) write(line Line) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	line.Time = f.now().UTC()
	f.book.Take(line)
	if f.file == nil {
		return nil
	}
	data, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	if _, err := f.file.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	if err := f.file.Sync(); err != nil {
		return fmt.Errorf("write the ledger to the disk: %w", err)
	}
	return nil
}

// syncFolder makes a new file's name as lasting as its content.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("write the ledger's folder to the disk: %w", err)
	}
	defer func() { _ = folder.Close() }()
	if err := folder.Sync(); err != nil && !errors.Is(err, fs.ErrInvalid) {
		return fmt.Errorf("write the ledger's folder to the disk: %w", err)
	}
	return nil
}
