// Package change describes what one request wants written to a session, and
// applies it to the session's data: to the data that the request was shown, or
// to newer data. It computes; it reads and writes no store.
//
// [Changes] holds the whole of a request's writes, an [Op] one write of data.
package change
