package catalog

// KeepsValues: values of columns of this data type (in lower case) stay the same
// on their way to a lookup table, and are equal there where they are equal in
// the table itself.
func KeepsValues(dataType string) bool {
	switch dataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "year", "date", "datetime", "time", "char", "varchar", "binary", "varbinary":
		return true
	}
	return false
}
