package main

import (
	"fmt"
	"io"
	"strings"
)

// A page prints the demo and remembers whether a step failed.
type page struct {
	w      io.Writer
	steps  int
	failed int
}

func (p *page) line(s string) { _, _ = fmt.Fprintln(p.w, s) }

// row prints a name and its value.
func (p *page) row(name, value string) { p.line(fmt.Sprintf("  %-14s %s", name, value)) }

// section prints a title and text below it that the reader can copy.
func (p *page) section(title string, blocks ...string) {
	p.line(title)
	p.line("")
	for _, block := range blocks {
		p.line(block)
		p.line("")
	}
}

// step runs a function and prints its notes and whether it passed.
func (p *page) step(title string, do func(*notes) error) {
	p.steps++
	var n notes
	err := do(&n)
	mark := "ok  "
	if err != nil {
		mark = "FAIL"
		p.failed++
	}
	p.line(fmt.Sprintf("%s %2d. %s", mark, p.steps, title))
	for _, note := range n {
		note.print(p)
	}
	if err != nil {
		p.line("        FAIL: " + err.Error())
	}
	p.line("")
}

// notes are the output of a step.
type notes []note

type note struct{ name, value string }

func (n *notes) add(name string, value any) { *n = append(*n, note{name, fmt.Sprint(value)}) }

// noteWidth is the column where values begin.
const noteWidth = 16

// print prints the value's further lines below the first.
func (n note) print(p *page) {
	const indent = "        "
	text := strings.TrimRight(n.value, "\n")
	text = strings.ReplaceAll(text, "\n", "\n"+indent+strings.Repeat(" ", noteWidth+1))
	p.line(fmt.Sprintf("%s%-*s %s", indent, noteWidth, n.name, text))
}

// foldWords wraps a text into lines.
func foldWords(s string, width int) string { return foldWith(strings.Fields(s), width, " ") }

// fold wraps a list into lines.
func fold(items []string, width int) string { return foldWith(items, width, ", ") }

func foldWith(items []string, width int, separator string) string {
	var b strings.Builder
	column := 0
	for i, item := range items {
		if i > 0 {
			if column+len(item) > width {
				b.WriteString(strings.TrimRight(separator, " ") + "\n")
				column = 0
			} else {
				b.WriteString(separator)
				column += len(separator)
			}
		}
		b.WriteString(item)
		column += len(item)
	}
	return b.String()
}
