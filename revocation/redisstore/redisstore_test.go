package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/revocation"
	"github.com/parajwt/parajwt/revocation/redisstore"
)

func ExampleNew() {
	// With go-redis: return rdb.Do(ctx, args...).Result(). See Do for others.
	do := func(ctx context.Context, args ...any) (any, error) {
		return nil, errors.New("dial tcp 127.0.0.1:6379: connection refused")
	}
	list, err := revocation.New(revocation.Config{Store: redisstore.New(do, "myapp:revocations")})
	if err != nil {
		log.Fatal(err)
	}
	defer list.Close()
	user := &claims.Claims{UserID: "d5358219"}
	_, err = list.Revoked(context.Background(), user, time.Now())
	fmt.Println(err)
	// Output: revocation: the store was not read yet
}

// replies returns a Do that has one reply for each command.
func replies(of map[string]any) redisstore.Do {
	return func(_ context.Context, args ...any) (any, error) {
		switch reply := of[args[0].(string)].(type) {
		case error:
			return nil, reply
		default:
			return reply, nil
		}
	}
}

// Clients differ in the types of strings, and in their results for a nil reply.
func TestShapesOfReplies(t *testing.T) {
	const text = "1u.dW4nJ3VzZXJz9Pb4-vz-AQIDBAU.mjw3k5c0.tfkd9s"
	clock := []any{"1767355200", "500000"}
	for name, reply := range map[string]map[string]any{
		"strings": {"TIME": clock,
			"XRANGE": []any{[]any{"1-0", []any{"e", text}}}},
		"bytes": {"TIME": []any{[]byte("1767355200"), []byte("500000")},
			"XRANGE": []any{[]any{[]byte("1-0"), []any{[]byte("e"), []byte(text)}}}},
		"numbers": {"TIME": []any{int64(1767355200), int64(500000)},
			"XRANGE": []any{[]any{"1-0", []any{"e", text}}}},
	} {
		b, err := redisstore.New(replies(reply), "key").Read(t.Context(), "", 0)
		if err != nil || len(b.Entries) != 1 || !b.End || b.Gap || b.Next == "" ||
			b.Time.UnixMilli() != 1767355200500 {
			t.Fatalf("%s: got %+v, %v", name, b, err)
		}
		if got, _ := b.Entries[0].MarshalText(); string(got) != text {
			t.Errorf("%s: got %q", name, got)
		}
	}
	for name, empty := range map[string]any{"nil": nil, "an empty list": []any{},
		"go-redis": errors.New("redis: nil"), "rueidis": errors.New("redis nil message")} {
		do := replies(map[string]any{"TIME": clock, "XRANGE": empty, "XREAD": empty})
		for _, wait := range []time.Duration{0, time.Millisecond} {
			b, err := redisstore.New(do, "key").Read(t.Context(), "", wait)
			if err != nil || !b.End || b.Next != "" {
				t.Errorf("%s: got %+v, %v", name, b, err)
			}
		}
		b, err := redisstore.New(do, "key").Read(t.Context(), "1-0/00000000", 0)
		if err != nil || !b.Gap {
			t.Errorf("%s, with a cursor: got %+v, %v, want a gap", name, b, err)
		}
	}
	for name, reply := range map[string]map[string]any{
		"no clock":        {"TIME": nil},
		"a strange clock": {"TIME": []any{"x", "y"}},
		"an error":        {"TIME": clock, "XRANGE": errors.New("ERR something")},
		"no messages":     {"TIME": clock, "XRANGE": []any{"x"}},
	} {
		_, err := redisstore.New(replies(reply), "key").Read(t.Context(), "", 0)
		if err == nil || !strings.HasPrefix(err.Error(), "redisstore: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// A malformed message becomes the zero Entry, which a list counts.
func TestMalformedMessages(t *testing.T) {
	for name, fields := range map[string]any{
		"no fields": []any{}, "odd": []any{"e"}, "nil": nil, "another field": []any{"x", "y"},
		"a number": []any{"e", int64(1)}, "junk": []any{"e", "junk"},
		"oversized": []any{"e", strings.Repeat("x", 1<<20)},
	} {
		do := replies(map[string]any{"TIME": []any{"1", "2"},
			"XRANGE": []any{[]any{"1-0", fields}}})
		b, err := redisstore.New(do, "key").Read(t.Context(), "", 0)
		if err != nil || len(b.Entries) != 1 || b.Entries[0] != (revocation.Entry{}) {
			t.Errorf("%s: got %+v, %v", name, b, err)
		}
	}
}
