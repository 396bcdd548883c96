package wire

import (
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"natter/chat"
)

// problemOf turns json's error into a refusal: the last name of its pointer is
// the field; the library's text, which quotes the input, is not repeated.
func problemOf(err error) *chat.Problem {
	var own *chat.Problem
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	errors.As(err, &own)
	switch {
	case errors.As(err, &semantic):
		field := fieldOf(semantic.JSONPointer)
		switch {
		case own != nil:
			return &chat.Problem{Kind: own.Kind, Field: field, Detail: own.Detail, Limit: own.Limit}
		case errors.Is(err, json.ErrUnknownName):
			return chat.Invalid(field, "is not a field of this request")
		case errors.Is(err, errNull):
			return chat.Invalid(field, errNull.Error())
		case errors.Is(err, jsontext.ErrDuplicateName):
			return chat.Invalid(field, "must stand only once")
		}
		return chat.Invalid(field, "is of the wrong type")
	case errors.As(err, &syntactic):
		field := fieldOf(syntactic.JSONPointer)
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return chat.Invalid(field, "must stand only once")
		}
		return chat.Invalid(field, "is not well-formed JSON in UTF-8")
	}
	return chat.Invalid("", "is not well-formed JSON in UTF-8")
}

// fieldOf is the last name in p that isn't a place in an array.
func fieldOf(p jsontext.Pointer) string {
	for p != "" {
		last := p.LastToken()
		if !isIndex(last) {
			return shorten(last)
		}
		p = p.Parent()
	}
	return ""
}

func isIndex(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// shorten keeps a refusal from echoing a long made-up name.
func shorten(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && s[cut]&0xc0 == 0x80 {
		cut--
	}
	return s[:cut]
}
