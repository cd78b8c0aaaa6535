package rulestore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Etcd keeps versions in etcd for all Servals that name the same URL. Under the
// URL's path (/serval where it has none) are
//
//	head                  the number of the version in effect
//	versions/%020d        each version
//	proposal              a change that is asked about; it ends with its applier
//	members/NAME          a Serval that serves these rules, until it ends in order
//	alive/NAME            the same, until it is not heard of for aliveFor
//	answers/PROPOSAL/NAME yes, or why not
type Etcd struct {
	client *clientv3.Client
	prefix string
	url    string
	now    func() time.Time
}

var _ Store = (*Etcd)(nil)

const (
	// aliveFor is after how long a silent Serval counts as lost.
	aliveFor = 5 * time.Second
	// proposalFor bounds a proposal whose applier is gone.
	proposalFor = 15 * time.Second
	// answerWithin bounds the wait for all Servals' answers.
	answerWithin = 10 * time.Second
	// followWithin bounds the wait for all Servals to serve a new version.
	followWithin = 10 * time.Second
	dialTimeout  = 5 * time.Second
)

// OpenEtcd connects to etcd://host:2379,host:2379/path. User and password may
// stand before the hosts; etcds:// speaks TLS. The error says what is wrong with
// the URL. That nobody answers is seen with the first call, or here where a user
// is named.
func OpenEtcd(raw string) (*Etcd, error) {
	cfg, prefix, err := etcdURL(raw)
	if err != nil {
		return nil, err
	}
	shown := "etcd://" + strings.Join(hostsOf(cfg.Endpoints), ",") + prefix
	cfg.Logger = zap.NewNop() // what goes wrong is returned
	cfg.DialTimeout, cfg.DialKeepAliveTime, cfg.DialKeepAliveTimeout = dialTimeout, aliveFor, aliveFor
	client, err := clientv3.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", shown, err)
	}
	return &Etcd{client: client, prefix: prefix, url: shown, now: time.Now}, nil
}

func etcdURL(raw string) (cfg clientv3.Config, prefix string, err error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "etcd" && u.Scheme != "etcds" || u.RawQuery != "" {
		return cfg, "", fmt.Errorf("store: cannot be read; write etcd://host:2379,host:2379/path, or etcds:// for TLS")
	}
	scheme := "http://"
	if u.Scheme == "etcds" {
		scheme = "https://"
	}
	for host := range strings.SplitSeq(u.Host, ",") {
		cfg.Endpoints = append(cfg.Endpoints, scheme+host)
	}
	cfg.Username = u.User.Username()
	cfg.Password, _ = u.User.Password()
	if prefix = path.Clean("/" + u.Path); prefix == "/" {
		prefix = "/serval"
	}
	return cfg, prefix, nil
}

func hostsOf(endpoints []string) []string {
	out := make([]string, len(endpoints))
	for i, e := range endpoints {
		_, out[i], _ = strings.Cut(e, "://")
	}
	return out
}

// String is the URL without its password.
func (e *Etcd) String() string { return e.url }

// Close ends the connection.
func (e *Etcd) Close() error { return e.client.Close() }

func (e *Etcd) key(parts ...string) string { return e.prefix + "/" + strings.Join(parts, "/") }

func (e *Etcd) versionKey(n int64) string { return e.key("versions", fmt.Sprintf("%020d", n)) }

// failed says which store it is that did not answer.
func (e *Etcd) failed(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("store %s does not answer: %w", e.url, err)
	}
	return fmt.Errorf("store %s: %w", e.url, err)
}

// Head is the version in effect.
func (e *Etcd) Head(ctx context.Context) (Version, error) {
	number, _, err := e.head(ctx)
	if err != nil {
		return Version{}, err
	}
	return e.Version(ctx, number)
}

// head is the number in effect and the revision that proves it.
func (e *Etcd) head(ctx context.Context) (number, revision int64, err error) {
	resp, err := e.client.Get(ctx, e.key("head"))
	if err != nil {
		return 0, 0, e.failed(err)
	}
	if len(resp.Kvs) == 0 {
		return 0, 0, ErrEmpty
	}
	number, err = strconv.ParseInt(string(resp.Kvs[0].Value), 10, 64)
	if err != nil {
		return 0, 0, e.failed(fmt.Errorf("head is %q, which is no number", resp.Kvs[0].Value))
	}
	return number, resp.Kvs[0].ModRevision, nil
}

// Version reads one version.
func (e *Etcd) Version(ctx context.Context, number int64) (v Version, err error) {
	resp, err := e.client.Get(ctx, e.versionKey(number))
	if err != nil {
		return v, e.failed(err)
	}
	if len(resp.Kvs) == 0 {
		head, _, err := e.head(ctx)
		if err != nil {
			return v, err
		}
		return v, unknownVersion(number, head)
	}
	if err := json.Unmarshal(resp.Kvs[0].Value, &v); err != nil {
		return v, e.failed(fmt.Errorf("version %d: %w", number, err))
	}
	return v, nil
}

// History lists the versions, the newest first.
func (e *Etcd) History(ctx context.Context, limit int) ([]Version, error) {
	resp, err := e.client.Get(ctx, e.key("versions", ""), clientv3.WithPrefix(),
		clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend), clientv3.WithLimit(int64(limit)))
	if err != nil {
		return nil, e.failed(err)
	}
	out := []Version{}
	for _, kv := range resp.Kvs {
		var v Version
		if err := json.Unmarshal(kv.Value, &v); err != nil {
			return nil, e.failed(fmt.Errorf("%s: %w", kv.Key, err))
		}
		v.Text = ""
		out = append(out, v)
	}
	return out, nil
}
