// Not published yet: `go mod edit -replace` with the path of a clone takes its place.
module github.com/cdrlog/cdrlog/bindings/go

go 1.25
