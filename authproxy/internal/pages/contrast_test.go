package pages_test

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The colors of the stylesheet, in light and dark, against WCAG 2.2: 4.5 for text (1.4.3), 3
// for borders of controls and the focus (1.4.11).
func TestContrast(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("html/style.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, ok := strings.Cut(string(data), "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("the stylesheet has no dark colors")
	}
	if rules := regexp.MustCompile(`#[0-9a-fA-F]{3,8}`).FindAllString(dark[strings.Index(dark, "\n}\n"):], -1); rules != nil {
		t.Errorf("colors %v are outside of the variables, so nobody checks them", rules)
	}
	for name, css := range map[string]string{"light": light, "dark": dark} {
		colors := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`).FindAllStringSubmatch(css, -1) {
			colors[m[1]] = luminance(t, m[2])
		}
		for _, pair := range []struct {
			front, back string
			least       float64
		}{
			{"text", "surface", 4.5},
			{"text", "page", 4.5}, // a name
			{"muted", "surface", 4.5},
			{"on-accent", "accent", 4.5},
			{"on-warning", "warning", 4.5},
			{"edge", "surface", 3},
			{"accent", "surface", 3},
			{"warning-edge", "surface", 3},
		} {
			a, okA := colors[pair.front]
			b, okB := colors[pair.back]
			got := (math.Max(a, b) + 0.05) / (math.Min(a, b) + 0.05)
			if !okA || !okB || got < pair.least {
				t.Errorf("%s: %s on %s has a contrast of %.2f, want %.1f", name, pair.front, pair.back, got, pair.least)
			}
		}
	}
}

// luminance is the relative luminance of WCAG 2.2.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	var sum float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
