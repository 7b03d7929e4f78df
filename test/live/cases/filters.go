package cases

import "strings"

// filterCases ask for texts, names, and how soon a change is seen, of filters.
func filterCases() []Case {
	byName := map[string]string{"name": "${mark}-filter"}
	out := []Case{
		{
			Name: "filter-plain", Asks: "What do create, show, update and delete of a plain filter answer?",
			Steps: []Step{
				filter("filter", nil), filters.show("filter"), filters.update("filter", Fields{"description": "${mark} changed"}),
				filters.show("filter").named("show it again"), filters.remove("filter"), filters.remove("filter").named("delete it again"),
			},
		},
		{
			Name: "filter-visible", Asks: "How soon do show and list have a filter that was made, changed, deleted?",
			Steps: []Step{
				filter("filter", nil), filters.show("filter").until(Shown, "${filter}"), filters.list(byName).until(Shown, "${filter}"),
				filters.update("filter", Fields{"description": "${mark} changed"}),
				filters.show("filter").named("show the change").until(Shown, "${mark} changed"),
				filters.list(byName).named("list the change").until(Shown, "${mark} changed"),
				filters.remove("filter"), filters.show("filter").until(Gone, "${filter}"), filters.list(byName).until(Gone, "${filter}"),
			},
		},
		{
			Name: "filter-same-name", Asks: "May two filters have the same name?",
			Steps: []Step{filter("filter", nil), filter("filter2", Fields{"name": "${mark}-filter"})},
		},
		{
			Name: "filter-without-name", Asks: "What does a filter say without a name, with an empty one, with one of null?",
			Steps: []Step{
				filter("filter", Fields{"name": Without}).named("create without a name"),
				filter("filter", Fields{"name": ""}).named("create with an empty name"),
				filter("filter", Fields{"name": nil}).named("create with a name of null"),
			},
		},
		{
			Name: "filter-without-description", Asks: "What is the description of a filter made without one, and does \"\" clear it, and null?",
			Steps: []Step{
				filter("filter", Fields{"description": Without}),
				filters.update("filter", Fields{"description": "${mark} set"}).named("set it"),
				filters.update("filter", Fields{"description": nil}).named("update it to null"),
				filters.update("filter", Fields{"description": ""}).named("update it to an empty text"),
				filters.show("filter"),
			},
		},
		{
			Name: "filter-update-nothing", Asks: "What does an update without any field say?",
			Steps: []Step{filter("filter", nil), filters.update("filter", Fields{})},
		},
	}
	for _, text := range texts() {
		out = append(out, Case{
			Name: "text-" + text.name, Asks: "Does a description with " + text.with + " come back as it was sent?",
			Steps: []Step{filter("filter", Fields{"description": text.value}), filters.show("filter"), filters.update("filter", Fields{"description": text.value})},
		})
	}
	for _, name := range names() {
		out = append(out, Case{
			Name: "name-" + name.name, Asks: "May a name have " + name.with + "?",
			Steps: []Step{filter("filter", Fields{"name": name.value})},
		})
	}
	return out
}

// text is one whose way through the cloud is asked.
type text struct{ name, with, value string }

// markLength is that of the mark's value: see account.NewMark.
const markLength = 27

// texts are descriptions. Each has the mark, so that whatever becomes of it is found.
func texts() []text {
	return []text{
		{"blanks", "blanks at its ends and two in the middle", "  ${mark}  blanks  "},
		{"newline", "a newline and a tab in the middle", "${mark}\nsecond\tline"},
		{"newline-at-end", "a newline at its end", "${mark}\n"},
		{"brackets", "brackets, slash and colon", "${mark} [a b/c:1]"},
		{"angles", "angle brackets", "${mark} <b>"},
		{"ampersand", "ampersand, quotes and backslash", `${mark} & "a" 'b' \c %20`},
		{"emoji", "a sign of four bytes", "${mark} \U0001F600"},
		{"255-ascii", "255 characters of one byte", "${mark}" + strings.Repeat("a", 255-markLength)},
		{"256-ascii", "256 characters of one byte", "${mark}" + strings.Repeat("a", 256-markLength)},
		{"255-cjk", "255 characters of which most have three bytes", "${mark}" + strings.Repeat("镜", 255-markLength)},
		{"256-cjk", "256 characters of which most have three bytes", "${mark}" + strings.Repeat("镜", 256-markLength)},
		{"255-bytes-cjk", "255 bytes, most of them of Chinese characters", "${mark}" + strings.Repeat("镜", (255-markLength)/3)},
	}
}

// names are those of filters.
func names() []text {
	return []text{
		{"64", "64 characters", "${mark}" + strings.Repeat("n", 64-markLength)},
		{"65", "65 characters", "${mark}" + strings.Repeat("n", 65-markLength)},
		{"64-cjk", "64 characters of which most have three bytes", "${mark}" + strings.Repeat("镜", 64-markLength)},
		{"blank", "a blank inside", "${mark} b"},
		{"blank-at-end", "a blank at its end", "${mark}-b "},
		{"brackets", "brackets and a slash", "${mark}[b]/c"},
		{"signs", "underscore, hyphen and period", "${mark}_-."},
		{"umlaut", "a letter that is neither of ASCII nor Chinese", "${mark}ü"},
	}
}
