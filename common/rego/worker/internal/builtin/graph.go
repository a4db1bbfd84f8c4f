package builtin

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"
)

func init() {
	replaceBy(ast.ReachableBuiltin, reachable)
	replaceBy(ast.ReachablePathsBuiltin, reachablePaths)
}

// vertices visits the members of an array or a set until `visit` fails; anything else has none.
func vertices(collection ast.Value, visit func(*ast.Term) error) error {
	switch members := collection.(type) {
	case ast.Set:
		return members.Iter(visit)
	case *ast.Array:
		return members.Iter(visit)
	}
	return nil
}

func edgeCount(collection ast.Value) int {
	switch members := collection.(type) {
	case ast.Set:
		return members.Len()
	case *ast.Array:
		return members.Len()
	}
	return 0
}

func graphOperands(operands []*ast.Term) (ast.Object, ast.Value, error) {
	graph, err := builtins.ObjectOperand(operands[0].Value, 1)
	if err != nil {
		return nil, nil, err
	}
	switch start := operands[1].Value.(type) {
	case *ast.Array, ast.Set:
		return graph, start, nil
	default:
		return nil, nil, builtins.NewOperandTypeErr(2, start, "{array, set}")
	}
}

// reachable puts each vertex into its queue once. OPA's function queues a vertex again for every edge
// that leads to it before its turn comes, which is exponential in layers that are joined completely.
func reachable(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
	graph, start, err := graphOperands(operands)
	if err != nil {
		return err
	}
	queued, reached := ast.NewSet(), ast.NewSet()
	var queue []*ast.Term
	push := func(vertex *ast.Term) error {
		if !queued.Contains(vertex) {
			queued.Add(vertex)
			queue = append(queue, vertex)
		}
		return nil
	}
	if err := vertices(start, push); err != nil {
		return err
	}
	for len(queue) > 0 {
		if cancelled(bctx) {
			return cancelError(bctx, ast.ReachableBuiltin.Name)
		}
		vertex := queue[0]
		queue = queue[1:]
		if edges := graph.Get(vertex); edges != nil {
			reached.Add(vertex)
			if err := vertices(edges.Value, push); err != nil {
				return err
			}
		}
	}
	return iter(ast.NewTerm(reached))
}

type pathSearch struct {
	bctx  topdown.BuiltinContext
	graph ast.Object
	paths ast.Set
	terms int64 // in all paths
	on    ast.Set
	path  []*ast.Term
}

func reachablePaths(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
	graph, start, err := graphOperands(operands)
	if err != nil {
		return err
	}
	search := pathSearch{bctx: bctx, graph: graph, paths: ast.NewSet()}
	err = vertices(start, func(root *ast.Term) error {
		edges := graph.Get(root)
		if edges == nil {
			return nil
		}
		search.path, search.on = []*ast.Term{root}, ast.NewSet(root)
		if edgeCount(edges.Value) == 0 {
			return search.commit()
		}
		return vertices(edges.Value, search.enter)
	})
	if err != nil {
		return err
	}
	return iter(ast.NewTerm(search.paths))
}

// visit goes on from the end of the path to a vertex unless the path has it.
func (s *pathSearch) visit(vertex *ast.Term) error {
	if s.on.Contains(vertex) {
		return s.commit()
	}
	return s.enter(vertex)
}

// enter goes on from the end of the path to a vertex, depth first, and leaves the path as it was. As in
// OPA's function, the first step may lead from a vertex to itself.
func (s *pathSearch) enter(vertex *ast.Term) error {
	edges := s.graph.Get(vertex)
	if edges == nil {
		return s.commit()
	}
	s.path = append(s.path, vertex)
	defer func() { s.path = s.path[:len(s.path)-1] }()
	if edgeCount(edges.Value) == 0 {
		return s.commit()
	}
	before := s.on
	s.on = before.Copy()
	s.on.Add(vertex)
	defer func() { s.on = before }()
	return vertices(edges.Value, s.visit)
}

func (s *pathSearch) commit() error {
	if cancelled(s.bctx) {
		return cancelError(s.bctx, ast.ReachablePathsBuiltin.Name)
	}
	path := ast.NewArray(append([]*ast.Term(nil), s.path...)...)
	if term := ast.NewTerm(path); !s.paths.Contains(term) {
		s.paths.Add(term)
		s.terms += int64(len(s.path)) + 4
	}
	if s.terms > itemsMax {
		return chargeItems(s.bctx, ast.ReachablePathsBuiltin.Name, s.terms)
	}
	return nil
}
