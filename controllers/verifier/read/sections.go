package read

import (
	"errors"
	"runtime"

	"vpcmirror.io/operator/controllers/verifier/capture"
)

// sectioning says how a file is counted in sections: so many at once, of about so many bytes.
type sectioning struct{ workers, size int }

// bySections is what pays: a section is counted in some milliseconds. At most 80 MiB of
// sections are mapped at once, beside the window of the file itself.
func bySections() sectioning {
	const most, size = 8, 8 << 20
	return sectioning{workers: min(runtime.GOMAXPROCS(0), most), size: size}
}

// part is a section of a file with what was counted in it.
type part struct {
	section *capture.File
	counts  *counter
	done    chan struct{}
}

// inSections counts a file by sections, up to where the rest has to be read in order. What
// comes out is what would, were all read in order: the sections are added up in theirs, and where the
// counts of one depend on what came before it, or it is none, the file goes back to where it begins. After
// each it calls poll, and ends when that returns an error.
func (c *counter) inSections(file *capture.File, by sectioning, poll func() error) (err error) {
	var ahead []*part
	defer func() {
		for _, p := range ahead { // of no use any more
			<-p.done
			err = errors.Join(err, p.section.Close())
		}
	}()
	for more := by.workers > 1; more || len(ahead) > 0; {
		if more && len(ahead) < by.workers {
			section := file.Section(by.size)
			if more = section != nil; more {
				ahead = append(ahead, c.begin(section))
			}
			continue
		}
		p := ahead[0]
		<-p.done
		if !p.section.Whole() || !c.follows(p.counts) {
			return file.Back(p.section)
		}
		c.take(p.counts)
		file.Join(p.section)
		ahead = ahead[1:]
		if err := errors.Join(p.section.Close(), poll()); err != nil {
			return err
		}
	}
	return nil
}

// begin counts a section in a goroutine of its own.
func (c *counter) begin(section *capture.File) *part {
	p := &part{section: section, counts: newCounter(c.port, c.filter), done: make(chan struct{})}
	p.counts.walkAll = c.walkAll
	go func() {
		defer close(p.done)
		section.Guard(func() { _ = p.counts.all(section, func() error { return nil }) })
	}()
	return p
}

// follows reports whether the counts of a section are what they are whatever came before: the first packet
// of a stream says which destination is its own, and the first streams are those that are kept apart.
func (c *counter) follows(section *counter) bool {
	more := 0
	for i := range section.streams {
		s := &section.streams[i]
		switch known, ok := c.find(s.key); {
		case !ok:
			more++
		case c.streams[known].destination != s.destination:
			return false
		}
	}
	return section.beyond == 0 && len(c.streams)+more <= maxStreams
}

// take adds the counts of a section.
func (c *counter) take(section *counter) {
	c.frames += section.frames
	for class, frames := range section.classes {
		c.classes[class] += frames
	}
	for port, frames := range section.ports {
		c.ports.add(port, frames)
	}
	for i := range section.streams {
		s := &section.streams[i]
		if known, ok := c.find(s.key); ok {
			c.streams[known].take(s)
		} else {
			c.add(*s)
		}
	}
}

// take adds the counts of the same stream in a later section.
func (s *streamCount) take(later *streamCount) {
	s.endRun()
	later.endRun()
	for kind, packets := range later.kinds {
		s.kinds[kind] += packets
	}
	s.bytes += later.bytes
	s.truncated += later.truncated
	s.super += later.super
	s.elsewhere += later.elsewhere
	s.at(later.first)
	s.at(later.last)
	if s.judged != nil {
		s.judged.take(later.judged)
	}
}

func (j *Judged) take(later *Judged) {
	j.Accepted += later.Accepted
	j.AcceptedBytes += later.AcceptedBytes
	j.Unexpected += later.Unexpected
	j.Undecided += later.Undecided
	for rule, packets := range later.Rules {
		j.Rules[rule] += packets
	}
}
