package session_test

import (
	"os"
	"testing"
	"time"
)

func TestStandForTrying(t *testing.T) {
	if os.Getenv("SERVAL_STAND") == "" {
		t.Skip()
	}
	s := newStand(t, smokeEngine())
	_ = os.WriteFile("/tmp/stand.addr", []byte(s.addr), 0o600)
	for i := 0; i < 600; i++ {
		if _, err := os.Stat("/tmp/stand.stop"); err == nil {
			return
		}
		time.Sleep(time.Second)
	}
}
