module assay/tools/podprograms

go 1.26.0
