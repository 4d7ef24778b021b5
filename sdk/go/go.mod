module github.com/evoke-run/evoke/sdk/go

go 1.24
