// A worker process on an executor: its frames, its standard error and its end.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "common/mutex.hpp"
#include "common/rego/host/engine_core.hpp"
#include "common/rego/host/frames.hpp"
#include "common/rego/host/worker_process.hpp"

namespace notp::rego {

class WorkerLink;

// Called on the executor, one at a time for each link. The link lives during the call.
struct WorkerEvents {
  std::function<void(WorkerLink&, const std::vector<IncomingFrame>&)> on_frames;
  std::function<void(WorkerLink&, const Error&)> on_broken;  // not a frame; no more frames follow
  std::function<void(WorkerLink&, const WorkerEnd&)> on_ended;  // last
};

// All methods are thread-safe.
class WorkerLink : public std::enable_shared_from_this<WorkerLink> {
 public:
  WorkerLink(boost::asio::any_io_executor executor, WorkerProcess process, WorkerRef ref,
             WorkerEvents events, size_t frame_bytes_max);
  ~WorkerLink() { close(); }
  WorkerLink(const WorkerLink&) = delete;
  WorkerLink& operator=(const WorkerLink&) = delete;

  // Starts to call events.
  void begin();
  // Kills the process, if it runs, and reaps it; waits for an event that another thread is calling.
  // No event follows.
  void close();

  WorkerRef ref() const { return ref_; }
  // Queues a frame; flush() sends the queue.
  void queue(OutgoingFrame frame);
  void flush();
  // Blocks until less than `bytes` are queued. False: closed.
  bool wait_for_space(size_t bytes);

  void kill();
  WorkerUse use();
  void limit_data(uint64_t bytes);
  bool set_nice(bool low);
  void leave_processor(bool leaves);

 private:
  using Descriptor = boost::asio::posix::stream_descriptor;

  void wait_readable();
  void wait_writable() NOTP_REQUIRES(mutex_);
  void wait_errors();
  void wait_end();
  void on_readable();
  void on_end();
  // False: nothing more to read now, or ever.
  bool read_some() NOTP_REQUIRES(reading_);
  bool send_some() NOTP_REQUIRES(mutex_);  // false: the socket is full

  const WorkerRef ref_;
  const WorkerEvents events_;

  // Held while events are called. Recursive: an event may close the link.
  RecursiveMutex reading_;
  FrameReader reader_ NOTP_GUARDED_BY(reading_);
  bool is_broken_ NOTP_GUARDED_BY(reading_) = false;

  Mutex mutex_;
  ConditionVariable sent_;
  std::optional<WorkerProcess> process_ NOTP_GUARDED_BY(mutex_);  // nullopt: closed
  Descriptor socket_ NOTP_GUARDED_BY(mutex_), errors_ NOTP_GUARDED_BY(mutex_),
      end_ NOTP_GUARDED_BY(mutex_);
  std::deque<OutgoingFrame> queue_ NOTP_GUARDED_BY(mutex_);
  size_t queue_bytes_ NOTP_GUARDED_BY(mutex_) = 0;
  size_t sent_of_first_ NOTP_GUARDED_BY(mutex_) = 0;  // bytes
  bool is_waiting_writable_ NOTP_GUARDED_BY(mutex_) = false;
};

}  // namespace notp::rego
