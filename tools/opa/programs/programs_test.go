package main

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestOneSeedIsOneProgram(t *testing.T) {
	for seed := range int64(3) {
		first, err := Generate(seed, Options{Damaged: 2, Clock: true})
		if err != nil {
			t.Fatal(err)
		}
		second, err := Generate(seed, Options{Damaged: 2, Clock: true})
		if err != nil {
			t.Fatal(err)
		}
		a, _ := json.Marshal(first)
		b, _ := json.Marshal(second)
		if string(a) != string(b) {
			t.Errorf("seed %d gives two programs", seed)
		}
	}
}

// A hazard that never compiles is none.
func TestEveryHazardCompiles(t *testing.T) {
	r := newRandom(1)
	g := &generator{random: r}
	documents := g.documents()
	lib := Module{Key: "lib.rego", RegoVersion: 1, Text: "package org.lib\n\nr1_0 := 1\n"}
	for i := range hazards(g.scope(), "r") {
		var problem error
		for range 20 { // operands are random
			d := &draft{key: "m.rego", pkg: []string{"app", "m"}, imports: []string{"data.org.lib as x", "data.app.m as self",
				"input.user as person", "future.keywords.and", "future.keywords.or", "future.keywords.not"},
				rules: []string{hazards(g.scope(), "r")[i], "f1_r(y) := y"}}
			if _, problem = newOracle([]Module{lib, d.module()}, documents, 1); problem == nil {
				break
			}
		}
		if problem != nil {
			t.Errorf("%s: %v", hazards(g.scope(), "r")[i], problem)
		}
	}
}

func (g *generator) scope() *scope {
	return &scope{random: g.random, aliases: map[string]string{}, vars: map[string]string{}, fresh: &g.fresh, clock: true}
}

// Answers must be of all kinds, or a wrong engine is not seen.
func TestAnswersOfAllKinds(t *testing.T) {
	values, undefined, failed := map[string]bool{}, 0, 0
	outcomes := map[string]bool{}
	changedByPatch, changedByModule := false, false
	for seed := range int64(8) {
		p, err := Generate(seed, Options{Damaged: 2, Clock: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, answers := range p.Stages[0].Answers {
			for _, answer := range answers {
				switch {
				case answer.Code != "":
					failed++
				case answer.Value == nil:
					undefined++
				default:
					values[string(answer.Value)] = true
				}
			}
		}
		for _, each := range p.Tests {
			outcomes[each.Outcome] = true
		}
		changedByPatch = changedByPatch || !reflect.DeepEqual(p.Stages[0].Answers, p.Stages[1].Answers)
		changedByModule = changedByModule || !reflect.DeepEqual(p.Stages[1].Answers, p.Stages[2].Answers)
	}
	if len(values) < 300 || undefined == 0 || failed == 0 {
		t.Errorf("%d values, %d undefined, %d failed", len(values), undefined, failed)
	}
	if !outcomes["pass"] || !outcomes["fail"] || !outcomes["skip"] || !changedByPatch || !changedByModule {
		t.Errorf("outcomes %v, patch %v, change %v", outcomes, changedByPatch, changedByModule)
	}
}
