package badgerstore

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/store"
)

const benchSessions = 2048

func benchStore(b *testing.B, change func(*Options)) (*Store, []store.Record) {
	b.Helper()
	s := open(b, b.TempDir(), func(o *Options) {
		o.Logger, o.Durability = zap.NewNop(), Async
		if change != nil {
			change(o)
		}
	})
	b.Cleanup(func() { shut(b, s) })
	recs := make([]store.Record, benchSessions)
	for i := range recs {
		recs[i] = create(b, s, benchKey(i), `{"padding":"`+strings.Repeat("x", 290)+`"}`)
	}
	return s, recs
}

func benchKey(i int) store.Key {
	return store.Key{Manager: "shop", ID: store.ID{byte(i), byte(i >> 8)}}
}

func BenchmarkLoad(b *testing.B) {
	for name, cache := range map[string]int64{"hit": 0, "miss": 1} {
		b.Run(name, func(b *testing.B) {
			s, _ := benchStore(b, func(o *Options) { o.CacheBytes = cache })
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := s.Load(context.Background(), benchKey(i%benchSessions)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTouch(b *testing.B) {
	s, recs := benchStore(b, nil)
	now := time.Now()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		k := i % benchSessions
		now = now.Add(time.Millisecond)
		if err := s.Touch(context.Background(), store.Touch{Key: benchKey(k), Incarnation: recs[k].Incarnation, Accessed: now}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSave(b *testing.B) {
	for _, durability := range []Durability{Async, Sync} {
		for _, clients := range []int{1, 32} {
			b.Run(fmt.Sprintf("%s/%d", durability, clients), func(b *testing.B) {
				s, recs := benchStore(b, func(o *Options) { o.Durability = durability })
				var next atomic.Int64
				b.SetParallelism(max(1, clients/2)) // two processors
				b.ReportAllocs()
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					k := int(next.Add(1)-1) % benchSessions
					rec := recs[k]
					for pb.Next() {
						n := rec
						n.Version = rec.Version.Next()
						if err := s.Save(context.Background(), benchKey(k), store.Write{Record: n}, store.IfVersion(rec.Version)); err != nil {
							b.Error(err)
							return
						}
						rec = n
					}
				})
			})
		}
	}
}
