package main

import (
	"encoding/xml"
	"fmt"
	"os"
	"strings"
	"time"
)

// The elements of JUnit's format that CI systems read.
type junitReport struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Time     string      `xml:"time,attr"` // seconds
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	File    string        `xml:"file,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure"`
	Output  string        `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func writeJUnit(file string, suites []suite) error {
	var report junitReport
	for _, s := range suites {
		report.Suites = append(report.Suites, junitOf(s))
	}
	body, err := xml.MarshalIndent(report, "", "  ")
	if err == nil {
		err = os.WriteFile(file, append(append([]byte(xml.Header), body...), '\n'), 0o666)
	}
	if err != nil {
		return fmt.Errorf("write the JUnit report: %w", err)
	}
	return nil
}

func junitOf(s suite) junitSuite {
	out := junitSuite{Name: s.function.Name, Tests: len(s.cases)}
	var all time.Duration
	for _, t := range s.cases {
		took := time.Duration(t.result.Duration)
		all += took
		one := junitCase{Class: s.function.Name, Name: t.name, File: t.file, Time: seconds(took)}
		for _, line := range t.result.Log {
			one.Output += line.Level + ": " + line.Message + "\n"
		}
		if len(t.faults) > 0 {
			out.Failures++
			message, _, _ := strings.Cut(t.faults[0], "\n")
			one.Failure = &junitFailure{Message: message, Text: strings.Join(t.faults, "\n")}
		}
		out.Cases = append(out.Cases, one)
	}
	out.Time = seconds(all)
	return out
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
