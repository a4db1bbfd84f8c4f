package serve

import "sync"

// pool runs tasks on goroutines, so many at once; the others wait in the order in which they came. A
// goroutine that has nothing to do waits for the next task, because its stack has grown to what an
// evaluation needs: a new one would grow by copying, again and again.
type pool struct {
	max int

	mutex   sync.Mutex
	running int
	waiting []func()
	idle    []chan func() // of goroutines, the last used one at the end
}

// run starts a task or queues it. It never blocks.
func (p *pool) run(task func()) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.running >= p.max {
		p.waiting = append(p.waiting, task)
		return
	}
	p.running++
	if last := len(p.idle) - 1; last >= 0 {
		tasks := p.idle[last]
		p.idle = p.idle[:last]
		tasks <- task // it has room for one
		return
	}
	tasks := make(chan func(), 1)
	tasks <- task
	go p.work(tasks)
}

func (p *pool) work(tasks chan func()) {
	for task := range tasks {
		for task != nil {
			task()
			task = p.next(tasks)
		}
	}
}

// next returns a task that waits; nil: there is none, and the goroutine is idle now.
func (p *pool) next(tasks chan func()) func() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	task := p.take()
	if task == nil {
		p.running--
		p.idle = append(p.idle, tasks)
	}
	return task
}

// take returns the task that waits longest; nil: none does. The mutex is locked.
func (p *pool) take() func() {
	if len(p.waiting) == 0 {
		p.waiting = nil
		return nil
	}
	task := p.waiting[0]
	p.waiting[0] = nil
	p.waiting = p.waiting[1:]
	return task
}

// enter counts the caller as one that runs a task; false: it must not run one now.
func (p *pool) enter() bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.running >= p.max || len(p.waiting) > 0 {
		return false
	}
	p.running++
	return true
}

// leave ends what enter began, and starts a task that could not start beside it.
func (p *pool) leave() {
	p.mutex.Lock()
	p.running--
	task := p.take()
	p.mutex.Unlock()
	if task != nil {
		p.run(task)
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
