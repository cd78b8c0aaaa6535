package shardrule

import "strconv"

// mycatPostfix is Mycat's PartitionByPostfix: the number less one.
type mycatPostfix struct{}

func mycatPostfixFunction() Function {
	return foreignFunction("mycat_postfix", false, func(Args, int) (nodeFunc, int, error) {
		return mycatPostfix{}, refusesNull, nil
	})
}

func (mycatPostfix) node(k Key) (int, bool) {
	n, err := strconv.ParseInt(string(k.Bytes), 10, 32)
	return int(n) - 1, err == nil
}

func (mycatPostfix) expr(column string, c Column) string {
	if c.Type != TypeInt {
		return ""
	}
	return "CAST(" + column + " AS SIGNED) - 1"
}
