package session

import (
	"context"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/parser"
)

// Statements prepared in SQL text (PREPARE … FROM, EXECUTE … USING, DEALLOCATE
// PREPARE): the session keeps their texts, and executes them as text with the
// user variables' values in the place of the ?.

// Errors of prepared statements in SQL text.
const (
	errUnknownHandler = 1243 // ER_UNKNOWN_STMT_HANDLER
	errNotPreparable  = 1295 // ER_UNSUPPORTED_PS
)

// sqlPrepared is a statement that was prepared in SQL text.
type sqlPrepared struct {
	text string
	// markers are the offsets of its ?.
	markers []int
	// db and mode were the session's when it was prepared.
	db   string
	mode parser.Mode
}

// maxSQLPrepared bounds what a session keeps of such texts, together.
const maxSQLPrepared = 4 << 20

// preparedStatement answers PREPARE, EXECUTE, DEALLOCATE PREPARE and DROP
// PREPARE; handled is false for another DROP.
func (s *Session) preparedStatement(ctx context.Context, tokens []token, text string) (handled bool, err error) {
	if s.binary {
		e := sqlerr.New(errNotPreparable, "This command is not supported in the prepared statement protocol yet")
		return true, e
	}
	switch {
	case tokens[0].is("PREPARE"):
		return true, s.prepareText(tokens)
	case tokens[0].is("EXECUTE") && len(tokens) > 2 && tokens[1].is("IMMEDIATE") && s.onMariaDB():
		return true, s.executeImmediate(ctx, tokens[2:], text)
	case tokens[0].is("EXECUTE"):
		return true, s.executeNamed(ctx, tokens)
	case len(tokens) > 1 && tokens[1].is("PREPARE"):
		return true, s.deallocate(tokens)
	}
	return false, nil
}

// prepareText answers PREPARE name FROM 'text' or FROM @variable.
func (s *Session) prepareText(tokens []token) error {
	if len(tokens) < 4 || !tokens[2].is("FROM") {
		return syntaxError(words(tokens))
	}
	name := strings.ToLower(tokens[1].name())
	delete(s.named, name) // as MySQL: also where the new one is wrong
	text, err := s.preparedSource(tokens[3:])
	if err != nil {
		return err
	}
	var lexer parser.Lexer
	var fp parser.Fingerprint
	if err := lexer.Fingerprint([]byte(text), s.settings.mode, &fp); err != nil {
		return err
	}
	switch fp.Verb {
	case "PREPARE", "EXECUTE", "DEALLOCATE", "LOCK", "UNLOCK", "USE":
		return sqlerr.New(errNotPreparable, "This command is not supported in the prepared statement protocol yet")
	}
	if strings.TrimSpace(strings.TrimRight(text[fp.End:], "; \t\r\n")) != "" {
		return syntaxError(text[fp.End:])
	}
	p := &sqlPrepared{text: text[:fp.End], db: s.settings.db, mode: s.settings.mode}
	for _, l := range fp.Literals {
		if l.Marker {
			p.markers = append(p.markers, l.Start)
		}
	}
	if !ownVerb(fp.Verb) {
		if _, _, err := s.plan([]byte(p.text), &fp); err != nil {
			return err
		}
	}
	kept := len(p.text)
	for _, other := range s.named {
		kept += len(other.text)
	}
	if len(s.named) >= s.deps.Limits.MaxStatements || kept > maxSQLPrepared {
		return sqlerr.New(errMaxPrepared, "Can't create more than max_prepared_stmt_count statements (current value: %d)", s.deps.Limits.MaxStatements)
	}
	if s.named == nil {
		s.named = map[string]*sqlPrepared{}
	}
	s.named[name] = p
	s.ok(wire.OK{Info: []byte("Statement prepared")})
	return nil
}

// executeImmediate answers MariaDB's EXECUTE IMMEDIATE text [USING value, …]: the
// values become user variables, whose names no client has.
func (s *Session) executeImmediate(ctx context.Context, tokens []token, text string) error {
	const name = "serval_immediate"
	var values []string
	for first := true; len(tokens) > 0; first = false {
		end := slices.IndexFunc(tokens, func(t token) bool { return first && t.is("USING") })
		part, rest := tokens, []token(nil)
		if end >= 0 {
			part, rest = tokens[:end], tokens[end+1:]
		} else if !first {
			part, rest = cutAtComma(tokens)
		}
		if len(part) == 0 {
			return syntaxError(words(tokens))
		}
		values, tokens = append(values, text[part[0].Start:part[len(part)-1].End]), rest
	}
	using := make([]string, len(values))
	defer func() {
		for i := range values {
			s.settings.setUser(name+strconv.Itoa(i), nullText)
		}
		delete(s.named, name)
	}()
	for i, v := range values {
		using[i] = "@" + name + strconv.Itoa(i)
		if err := s.quietly(ctx, "SET "+using[i]+" = "+v); err != nil {
			return err
		}
	}
	if err := s.quietly(ctx, "PREPARE "+name+" FROM "+using[0]); err != nil {
		return err
	}
	if len(using) == 1 {
		return s.within(ctx, "EXECUTE "+name)
	}
	return s.within(ctx, "EXECUTE "+name+" USING "+strings.Join(using[1:], ", "))
}

// preparedSource is the text that is prepared.
func (s *Session) preparedSource(tokens []token) (string, error) {
	switch {
	case len(tokens) == 1 && tokens[0].Kind == tokenString:
		return s.literalText(tokens[0].Text)
	case len(tokens) > 1 && tokens[0].op("@"):
		name, rest := userVarName(tokens)
		sql := s.userVariable(name)
		if len(rest) > 0 || !strings.HasPrefix(sql, "'") {
			return "", sqlerr.Refuse("PREPARE FROM a variable", "@"+name+" is not set to a plain text in this session", "write the text into PREPARE")
		}
		return s.literalText(sql)
	}
	return "", syntaxError(words(tokens))
}

// literalText is what a string literal says.
func (s *Session) literalText(literal string) (string, error) {
	sql := []byte("SELECT " + literal)
	var lexer parser.Lexer
	var fp parser.Fingerprint
	if err := lexer.Fingerprint(sql, s.settings.mode, &fp); err != nil {
		return "", err
	}
	if len(fp.Literals) != 1 {
		return "", syntaxError(literal)
	}
	return string(fp.Literals[0].Value(sql, s.settings.mode).Text), nil
}

// userVariable is the value of a user variable as a literal, where it can be
// written as one, or as it is carried to other connections.
func (s *Session) userVariable(name string) string {
	for _, v := range s.settings.plain.UserVars {
		if !strings.EqualFold(v.Name, name) {
			continue
		}
		if digits, ok := strings.CutPrefix(v.SQL, "CONVERT(_utf8mb4 x'"); ok && s.settings.charset == "utf8mb4" {
			digits, _, _ = strings.Cut(digits, "'")
			if text, err := hex.DecodeString(digits); err == nil {
				noBackslash := s.settings.mode&parser.NoBackslashEscapes != 0
				return string(sqlval.Value{Kind: sqlval.String, Text: text}.AppendSQL(nil, noBackslash))
			}
		}
		return v.SQL
	}
	return nullText
}

// executeNamed answers EXECUTE name [USING @a, …].
func (s *Session) executeNamed(ctx context.Context, tokens []token) error {
	if len(tokens) < 2 {
		return syntaxError(words(tokens))
	}
	p := s.named[strings.ToLower(tokens[1].name())]
	if p == nil {
		return sqlerr.New(errUnknownHandler, "Unknown prepared statement handler (%s) given to EXECUTE", tokens[1].name())
	}
	if p.mode != s.settings.mode {
		return errOtherMode()
	}
	var values []string
	for rest := tokens[2:]; len(rest) > 0; {
		if len(values) == 0 && !rest[0].is("USING") || len(values) > 0 && !rest[0].op(",") || len(rest) < 3 || !rest[1].op("@") {
			return syntaxError(words(rest))
		}
		var name string
		name, rest = userVarName(rest[1:])
		values = append(values, s.userVariable(name))
	}
	if len(values) != len(p.markers) {
		return sqlerr.New(sqlerr.WrongArguments, "Incorrect arguments to EXECUTE")
	}
	var b strings.Builder
	at := 0
	for i, m := range p.markers {
		b.WriteString(p.text[at:m] + values[i])
		at = m + 1
	}
	b.WriteString(p.text[at:])
	text := []byte(b.String())
	var lexer parser.Lexer
	var fp parser.Fingerprint
	if err := lexer.Fingerprint(text, s.settings.mode, &fp); err != nil {
		return err
	}
	if now := s.settings.db; now != p.db {
		s.settings.use(p.db)
		defer func() { s.settings.use(now) }()
	}
	return s.text(ctx, text, &fp)
}

// deallocate answers DEALLOCATE PREPARE name and DROP PREPARE name.
func (s *Session) deallocate(tokens []token) error {
	if len(tokens) != 3 {
		return syntaxError(words(tokens))
	}
	name := strings.ToLower(tokens[2].name())
	if s.named[name] == nil {
		return sqlerr.New(errUnknownHandler, "Unknown prepared statement handler (%s) given to DEALLOCATE PREPARE", tokens[2].name())
	}
	delete(s.named, name)
	s.ok(wire.OK{})
	return nil
}
