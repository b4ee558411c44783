// Package fault lets tests act at named points of the program: end the process, or make it wait. In production the contexts
// carry no hook, and a point costs a look into its context.
package fault

import "context"

type key struct{}

// With returns a context in which every [Point] calls hook with its name. It may be called from several goroutines.
func With(ctx context.Context, hook func(name string)) context.Context {
	return context.WithValue(ctx, key{}, hook)
}

// Point marks a place between two effects of the program, where a crash must do no harm.
func Point(ctx context.Context, name string) {
	if hook, ok := ctx.Value(key{}).(func(string)); ok {
		hook(name)
	}
}
