// Package document handles session data: one JSON object, kept in the form in
// which it is forwarded, that is compact and ASCII only. All functions are
// pure and safe for concurrent use.
//
// Documents from outside pass Parse, ParseMergePatch or ParseIncrements, which are
// strict (I-JSON, RFC 7493). Everything else takes the compact form for
// granted, in which each string has one spelling, so that names can be
// compared as bytes and members spliced without decoding.
package document
