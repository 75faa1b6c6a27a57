// Not published yet: `go mod edit -replace` with the path of a clone takes its place.
module example.org/cdrlog

go 1.25
