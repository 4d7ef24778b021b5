package filter_test

import (
	"fmt"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/filter"
)

func ExampleParse() {
	f, err := filter.Parse("type = 'com.shop.order' AND subject LIKE 'A-%'")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f.Match(&event.Event{ID: "1", Source: "/shop", Type: "com.shop.order", Subject: "A-17"}))
	fmt.Println(f.Match(&event.Event{ID: "2", Source: "/shop", Type: "com.shop.order"}))

	_, err = filter.Parse("type == 'com.shop.order'")
	fmt.Println(err)
	// Output:
	// true
	// false
	// at character 7: found "=", expected an attribute, a value, NOT, EXISTS, a function or (
}

func ExampleParsePattern() {
	p, err := filter.ParsePattern("orders.*.>")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Match("orders.created.eu"), p.Match("orders.created"))
	// Output: true false
}
