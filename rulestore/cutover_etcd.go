package rulestore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// makerFor is after how long the silent maker of a cut over counts as gone.
const makerFor = 3 * time.Second

// Cutover implements Cutter.
func (e *Etcd) Cutover(ctx context.Context, base int64, v Version, c Cutover) (Version, error) {
	head, headRevision, err := e.head(ctx)
	if err != nil {
		return Version{}, err
	}
	if head != base {
		return Version{}, &Conflict{Base: base, Head: head}
	}
	if v, err = complete(base, v, e.now()); err != nil {
		return Version{}, err
	}
	p := &proposal{ID: rand.Text(), Number: v.Number, By: v.By, Note: v.Note, Text: v.Text, Tables: c.Tables, Finish: c.Finish, Within: c.Within}
	if err := cutOver(ctx, &etcdBoard{Etcd: e, headRevision: headRevision}, p, c); err != nil {
		return Version{}, err
	}
	// It is in effect: whoever asked for it may be gone.
	return v, e.followed(context.WithoutCancel(ctx), v.Number)
}

// EndOrphan implements Cutter.
func (e *Etcd) EndOrphan(ctx context.Context, finish Finisher) error {
	resp, err := e.client.Txn(ctx).Then(clientv3.OpGet(e.key("sealed")), clientv3.OpGet(e.key("proposal"))).Commit()
	if err != nil {
		return e.failed(err)
	}
	sealed := resp.Responses[0].GetResponseRange().Kvs
	if len(sealed) == 0 || len(resp.Responses[1].GetResponseRange().Kvs) > 0 {
		return nil
	}
	p := &proposal{}
	if err := json.Unmarshal(sealed[0].Value, p); err != nil {
		return e.failed(err)
	}
	if p.Floors, err = finish(ctx, p.Text, p.Finish); err != nil {
		return err
	}
	return e.effectSealed(ctx, p)
}

// etcdBoard is one cut over in etcd.
type etcdBoard struct {
	*Etcd
	headRevision, revision int64
	lease                  clientv3.LeaseID
	stop                   context.CancelFunc
}

func (b *etcdBoard) post(ctx context.Context, p *proposal) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if b.revision == 0 {
		return b.first(ctx, string(data))
	}
	puts := []clientv3.Op{clientv3.OpPut(b.key("proposal"), string(data), clientv3.WithLease(b.lease))}
	if p.Round == Renaming {
		puts = append(puts, clientv3.OpPut(b.key("sealed"), string(data)))
	}
	resp, err := b.client.Txn(ctx).If(
		clientv3.Compare(clientv3.ModRevision(b.key("head")), "=", b.headRevision),
		clientv3.Compare(clientv3.CreateRevision(b.key("proposal")), "=", b.revision),
	).Then(puts...).Commit()
	switch {
	case err != nil:
		return b.failed(err)
	case !resp.Succeeded:
		return errors.New("the cut over ran out of time; nothing was changed, try again")
	}
	return nil
}

// first writes the proposal, which is kept alive until it is withdrawn or left.
func (b *etcdBoard) first(ctx context.Context, data string) error {
	lease, err := b.client.Grant(ctx, int64(makerFor/time.Second))
	if err != nil {
		return b.failed(err)
	}
	b.lease = lease.ID
	alive, stop := context.WithCancel(context.WithoutCancel(ctx))
	b.stop = stop
	beats, err := b.client.KeepAlive(alive, lease.ID)
	if err != nil {
		return b.failed(err)
	}
	go func() {
		for range beats { // until stop
			continue
		}
	}()
	resp, err := b.client.Txn(ctx).If(
		clientv3.Compare(clientv3.ModRevision(b.key("head")), "=", b.headRevision),
		clientv3.Compare(clientv3.CreateRevision(b.key("proposal")), "=", 0),
		clientv3.Compare(clientv3.CreateRevision(b.key("sealed")), "=", 0),
	).Then(clientv3.OpPut(b.key("proposal"), data, clientv3.WithLease(lease.ID))).Commit()
	switch {
	case err != nil:
		return b.failed(err)
	case !resp.Succeeded:
		return errors.New("the rules are being changed at this moment; try again when that is done (serval rules history)")
	}
	b.revision = resp.Header.Revision
	return nil
}

func (b *etcdBoard) heard(ctx context.Context, p *proposal, within time.Duration) error {
	return b.agreed(ctx, p, within)
}

func (b *etcdBoard) renew(ctx context.Context) error {
	if _, err := b.client.KeepAliveOnce(ctx, b.lease); err != nil {
		return b.failed(err)
	}
	return nil
}

func (b *etcdBoard) effect(ctx context.Context, p *proposal) error { return b.effectSealed(ctx, p) }

// withdraw is best effort but for the seal: where that stays, the Servals take
// its maker for gone and go on with it, which is as right.
func (b *etcdBoard) withdraw(ctx context.Context, p *proposal) {
	if b.revision != 0 {
		_, _ = b.client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(b.key("proposal")), "=", b.revision)).
			Then(clientv3.OpDelete(b.key("sealed")), clientv3.OpDelete(b.key("proposal"))).Commit()
		_, _ = b.client.Delete(ctx, b.key("answers", p.ID, ""), clientv3.WithPrefix())
	}
	b.leave()
	if b.lease != 0 {
		_, _ = b.client.Revoke(ctx, b.lease)
	}
}

func (b *etcdBoard) leave() {
	if b.stop != nil {
		b.stop()
	}
}

// effectSealed puts a cut over in effect whose tables are renamed; once is
// enough, whoever does it.
func (e *Etcd) effectSealed(ctx context.Context, p *proposal) error {
	v, err := complete(p.Number-1, Version{By: p.By, Note: p.Note, Text: p.Text, Floors: p.Floors}, e.now())
	if err != nil {
		return err
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	resp, err := e.client.Txn(ctx).If(
		clientv3.Compare(clientv3.Value(e.key("head")), "=", strconv.FormatInt(p.Number-1, 10)),
		clientv3.Compare(clientv3.CreateRevision(e.key("sealed")), "!=", 0),
	).Then(
		clientv3.OpPut(e.versionKey(v.Number), string(data)),
		clientv3.OpPut(e.key("head"), strconv.FormatInt(v.Number, 10)),
		clientv3.OpDelete(e.key("proposal")), clientv3.OpDelete(e.key("sealed")),
	).Commit()
	if err != nil {
		return e.failed(err)
	}
	if !resp.Succeeded {
		head, _, err := e.head(ctx)
		if err != nil || head != p.Number {
			return errors.Join(errors.New("the store does not have the cut over any more"), err)
		}
	}
	return nil
}
