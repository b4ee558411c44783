// Package fault lets tests act at named points of the program, and count what it does. In production the contexts carry no
// hook, and a point costs a look into its context.
package fault

import "context"

type (
	pointKey struct{}
	countKey struct{}
)

// With returns a context in which every [Point] calls hook with its name: to end the process, or to make it wait. hook may
// be called from several goroutines.
func With(ctx context.Context, hook func(name string)) context.Context {
	return context.WithValue(ctx, pointKey{}, hook)
}

// Point marks a place between two effects of the program, where a crash must do no harm.
func Point(ctx context.Context, name string) { call(ctx, pointKey{}, name) }

// WithCounter returns a context in which every [Count] calls counter with its name.
func WithCounter(ctx context.Context, counter func(name string)) context.Context {
	return context.WithValue(ctx, countKey{}, counter)
}

// Count marks work whose amount a test bounds.
func Count(ctx context.Context, name string) { call(ctx, countKey{}, name) }

func call(ctx context.Context, key any, name string) {
	if f, ok := ctx.Value(key).(func(string)); ok {
		f(name)
	}
}
