package serve

import "sync"

// pool runs tasks on goroutines, so many at once; the others wait in the order in which they came.
type pool struct {
	max int

	mutex   sync.Mutex
	running int
	waiting []func()
}

// run starts a task or queues it. It never blocks.
func (p *pool) run(task func()) {
	p.mutex.Lock()
	if p.running >= p.max {
		p.waiting = append(p.waiting, task)
		p.mutex.Unlock()
		return
	}
	p.running++
	p.mutex.Unlock()
	go p.work(task)
}

func (p *pool) work(task func()) {
	for task != nil {
		task()
		p.mutex.Lock()
		if len(p.waiting) == 0 {
			p.waiting = nil
			p.running--
			task = nil
		} else {
			task = p.waiting[0]
			p.waiting[0] = nil
			p.waiting = p.waiting[1:]
		}
		p.mutex.Unlock()
	}
}

// count returns how many tasks run or wait.
func (p *pool) count() int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.running + len(p.waiting)
}

// queue runs tasks one after the other. The zero value is ready.
type queue struct {
	once sync.Once
	pool pool
}

// push adds a task. It never blocks.
func (q *queue) push(task func()) {
	q.once.Do(func() { q.pool.max = 1 })
	q.pool.run(task)
}
