package policyfile

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"testing"
	"unicode/utf8"
)

// validator is as much of JSON Schema as our schema uses. A keyword that it
// does not know fails the test.
type validator struct {
	t    *testing.T
	defs map[string]any
}

// check returns what is wrong with a value.
func (v validator) check(schema map[string]any, value any, at string) []string {
	var wrong []string
	fail := func(format string, args ...any) {
		wrong = append(wrong, at+": "+fmt.Sprintf(format, args...))
	}
	object, _ := value.(map[string]any)
	array, _ := value.([]any)
	text, isText := value.(string)
	number, isNumber := value.(float64)
	for keyword, rule := range schema {
		switch keyword {
		case "$schema", "title", "description", "$defs", "properties":
		case "$ref":
			name := rule.(string)[len("#/$defs/"):]
			wrong = append(wrong, v.check(v.defs[name].(map[string]any), value, at)...)
		case "type":
			is := map[string]bool{
				"object": object != nil, "array": array != nil, "string": isText, "boolean": reflect.TypeOf(value) == reflect.TypeOf(true),
				"integer": isNumber && number == float64(int64(number)),
			}
			if ok, known := is[rule.(string)]; !known {
				v.t.Fatalf("unknown type %v", rule)
			} else if !ok {
				fail("%v is no %v", value, rule)
			}
		case "enum":
			if !slices.Contains(rule.([]any), value) {
				fail("%v is none of %v", value, rule)
			}
		case "pattern":
			if isText && !regexp.MustCompile(rule.(string)).MatchString(text) {
				fail("%q does not match %s", text, rule)
			}
		case "minLength":
			if isText && utf8.RuneCountInString(text) < int(rule.(float64)) {
				fail("%q is too short", text)
			}
		case "minimum":
			if isNumber && number < rule.(float64) {
				fail("%v is too small", number)
			}
		case "maximum":
			if isNumber && number > rule.(float64) {
				fail("%v is too large", number)
			}
		case "items":
			for i, item := range array {
				wrong = append(wrong, v.check(rule.(map[string]any), item, fmt.Sprintf("%s/%d", at, i))...)
			}
		case "uniqueItems":
			for i := range array {
				if slices.Contains(array[:i], array[i]) {
					fail("%v stands twice", array[i])
				}
			}
		case "propertyNames":
			for name := range object {
				wrong = append(wrong, v.check(rule.(map[string]any), name, at+"/"+name)...)
			}
		case "additionalProperties":
			properties, _ := schema["properties"].(map[string]any)
			for name, value := range object {
				if known, ok := properties[name].(map[string]any); ok {
					wrong = append(wrong, v.check(known, value, at+"/"+name)...)
				} else if others, ok := rule.(map[string]any); ok {
					wrong = append(wrong, v.check(others, value, at+"/"+name)...)
				} else {
					fail("unknown field %s", name)
				}
			}
		case "required":
			for _, name := range rule.([]any) {
				if _, ok := object[name.(string)]; object != nil && !ok {
					fail("no %s", name)
				}
			}
		case "anyOf", "oneOf":
			valid := 0
			for _, way := range rule.([]any) {
				if len(v.check(way.(map[string]any), value, at)) == 0 {
					valid++
				}
			}
			if valid == 0 || keyword == "oneOf" && valid > 1 {
				fail("%d ways of %s fit", valid, keyword)
			}
		default:
			v.t.Fatalf("unknown keyword %s", keyword)
		}
	}
	return wrong
}
