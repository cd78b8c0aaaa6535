package control

import (
	"context"
	"errors"
	"maps"
	"strings"

	"github.com/servaldb/serval/shardrule"
)

// weights asks for the weight strings of the texts that the rule of a text column
// names. What was known stays.
func (r *factReader) weights(ctx context.Context, name TableName, p *shardrule.Placement, facts *Facts) {
	for i := range p.Parts {
		r.weights(ctx, name, &shardrule.Placement{Algorithm: p.Parts[i].Algorithm, Column: p.Parts[i].Column, Shards: p.Shards}, facts)
	}
	texts, ok := p.Algorithm.(shardrule.Texter)
	fact := facts.Tables[name]
	if !ok || fact == nil {
		return
	}
	facts.withCollations()
	facts.Weights = maps.Clone(facts.Weights) // they may be published already
	if facts.Weights == nil {
		facts.Weights = map[Text][]byte{}
	}
	for _, c := range facts.Tables[name].Columns {
		if strings.EqualFold(c.Name, p.Column.Name) && c.Type == shardrule.TypeText {
			r.weigh(ctx, p.Shards[0].Cluster, texts, c.Column, facts)
		}
	}
}

// weigh asks the cluster until the column can be bound, or cannot for another
// reason, which is said where it matters.
func (r *factReader) weigh(ctx context.Context, cluster string, texts shardrule.Texter, c shardrule.Column, facts *Facts) {
	for range texts.Texts() {
		_, err := texts.Bind(c, facts)
		var need *shardrule.WeightNeeded
		if !errors.As(err, &need) {
			return
		}
		rows, err := r.servers.Select(ctx, cluster, "SELECT "+shardrule.WeightExpr(need.Collation, need.Text))
		if err != nil || len(rows) != 1 || rows[0][0] == nil {
			r.errs = append(r.errs, err)
			return
		}
		facts.Weights[Text{need.Collation, string(need.Text)}] = rows[0][0]
	}
}
