// Package matrix holds who may do what: every call of the HTTP API and every frame
// of the WebSocket, asked by everybody, of what is theirs and what isn't. What is
// expected stands in testdata/http.txt and testdata/socket.txt, a row for each call
// or frame and thing it is asked of, a column for each person. A call that the
// served OpenAPI document has, or a frame of the AsyncAPI document, and the table
// hasn't, fails the test; go test -update writes the tables anew, to be read before
// they are committed.
package matrix
