// A worker process on an executor: its frames, its standard error and its end.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "common/rego/host/engine_core.hpp"
#include "common/rego/host/frames.hpp"
#include "common/rego/host/worker_process.hpp"

namespace notp::rego {

class WorkerLink;

// Called on the executor, one at a time for each link. The link lives during the call.
struct WorkerEvents {
  std::function<void(WorkerLink&, const std::vector<IncomingFrame>&)> on_frames;
  std::function<void(WorkerLink&, const Error&)> on_broken;     // not a frame; then nothing more
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

  // Begins to call events.
  void begin();
  // Kills the process, if it runs, and reaps it; waits for an event that is being called by another
  // thread. No event follows.
  void close();

  WorkerRef ref() const { return ref_; }
  // Puts a frame into the queue; flush() sends what is queued.
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
  void wait_writable();
  void wait_errors();
  void wait_end();
  void on_readable();
  void on_end();
  // False: there is nothing more to read now, or ever.
  bool read_some();
  bool send_some();  // under mutex_; false: the socket is full

  const WorkerRef ref_;
  const WorkerEvents events_;

  // Held while events are called. Recursive: an event may close the link.
  std::recursive_mutex reading_;
  FrameReader reader_;      // guarded by reading_
  bool is_broken_ = false;  // guarded by reading_

  std::mutex mutex_;
  std::condition_variable sent_;
  // Guarded by mutex_:
  std::optional<WorkerProcess> process_;  // nullopt: closed
  Descriptor socket_, errors_, end_;
  std::deque<OutgoingFrame> queue_;
  size_t queue_bytes_ = 0;
  size_t sent_of_first_ = 0;  // bytes
  bool is_waiting_writable_ = false;
};

}  // namespace notp::rego
