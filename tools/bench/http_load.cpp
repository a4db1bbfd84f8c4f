#include "tools/bench/http_load.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>

namespace notp::bench {
namespace {

using std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr double kPatienceS = 60;  // for answers still open at the end
constexpr TimeMs kPaceMs = 1'000;  // between two questions of an endless connection
constexpr TimeMs kSliceMs = 20;    // the longest delay until a thread notices a stop
constexpr int kEventsMax = 64;
constexpr size_t kFailureBytes = 300;
constexpr unsigned long kTimerSlackNs = 1;  // the default of 50 us is as long as an answer takes

double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_THREAD, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

class Generator {
 public:
  explicit Generator(const LoadPlan& plan) : plan_(plan) {}
  ~Generator() {
    if (epoll_ >= 0) ::close(epoll_);
  }
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;
  Result<LoadFigures> run();

 private:
  struct Connection {
    LoadStream stream;
    bool is_asking = false;
    size_t index = 0;  // of its request
    steady_clock::time_point since;
  };

  Result<LoadStream> open(size_t number) const;
  Result<void> open_all();
  void ask(size_t number, steady_clock::time_point due);
  void ask_what_is_due(steady_clock::time_point now);
  Result<void> on_ready(size_t number);
  Result<void> on_lost(size_t number, const Error& error);
  void on_free(size_t number, steady_clock::time_point now);
  Result<void> wait();
  void failed(std::string_view how);
  bool is_over(steady_clock::time_point now) const {
    return now >= end_ || plan_.stop.stop_requested();
  }
  steady_clock::time_point due(uint64_t question) const {
    return start_ + std::chrono::duration_cast<steady_clock::duration>(
                        Seconds(static_cast<double>(question) / plan_.rate));
  }
  steady_clock::time_point next_event(steady_clock::time_point now) const;

  const LoadPlan& plan_;
  LoadFigures figures_;
  int epoll_ = -1;
  std::vector<Connection> connections_;
  std::deque<size_t> free_;                       // connections, when asked at a rate
  std::deque<steady_clock::time_point> overdue_;  // questions due while no connection is free
  uint64_t questions_ = 0;                        // due so far
  size_t next_request_ = 0, open_ = 0;
  steady_clock::time_point start_, end_;
};

Result<LoadStream> Generator::open(size_t number) const {
  PdpAddress address = plan_.address;
  if (!plan_.identities.empty()) address.tls = plan_.identities[number % plan_.identities.size()];
  NOTP_ASSIGN(LoadStream stream, LoadStream::connect(address));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = number;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, stream.fd(), &event) != 0)
    return fail(ErrorCode::kIo, "a connection cannot be watched");
  return stream;
}

Result<void> Generator::open_all() {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) return fail(ErrorCode::kIo, "no epoll");
  connections_.reserve(plan_.connections);
  for (size_t i = 0; i < plan_.connections; ++i) {
    NOTP_ASSIGN(LoadStream stream, open(i));
    connections_.push_back({.stream = std::move(stream)});
    free_.push_back(i);
  }
  return {};
}

void Generator::failed(std::string_view how) {
  ++figures_.failed;
  if (figures_.first_failure.empty()) figures_.first_failure = how.substr(0, kFailureBytes);
}

void Generator::ask(size_t number, steady_clock::time_point due) {
  Connection& connection = connections_[number];
  connection.is_asking = true;
  connection.index = next_request_;
  connection.since = due;
  next_request_ = (next_request_ + 1) % plan_.requests.size();
  ++open_;
  // A failed write shows as a lost connection at the next read.
  if (!connection.stream.send(plan_.requests[connection.index])) connection.stream.abandon();
}

Result<void> Generator::on_lost(size_t number, const Error& error) {
  Connection& connection = connections_[number];
  NOTP_ASSIGN(connection.stream, open(number));
  if (!connection.is_asking) return {};
  failed(error.message);
  on_free(number, steady_clock::now());
  return {};
}

// The connection's question is answered or lost.
void Generator::on_free(size_t number, steady_clock::time_point now) {
  connections_[number].is_asking = false;
  --open_;
  if (plan_.rate == 0) {
    if (!is_over(now)) ask(number, now);
    return;
  }
  if (overdue_.empty()) {
    free_.push_back(number);
    return;
  }
  const auto due = overdue_.front();
  overdue_.pop_front();
  ask(number, due);
}

Result<void> Generator::on_ready(size_t number) {
  Connection& connection = connections_[number];
  const auto answer = connection.stream.receive();
  if (!answer) return on_lost(number, answer.error());
  if (!*answer || !connection.is_asking) return {};
  const auto now = steady_clock::now();
  const Verdict verdict = plan_.judge(connection.index, **answer);
  if (verdict == Verdict::kRight) {
    figures_.latency.add(ms_between(connection.since, now));
    ++figures_.answers;
  } else {
    if (verdict == Verdict::kWrong) ++figures_.wrong;
    failed(fmt::format("{} {}", (*answer)->status, (*answer)->body));
  }
  figures_.seconds = Seconds(now - start_).count();
  if ((*answer)->closes) {
    NOTP_ASSIGN(connection.stream, open(number));
  }
  on_free(number, now);
  return {};
}

void Generator::ask_what_is_due(steady_clock::time_point now) {
  if (plan_.rate == 0) return;
  for (; due(questions_) <= now && !is_over(due(questions_)); ++questions_) {
    if (free_.empty()) {
      overdue_.push_back(due(questions_));
      continue;
    }
    const size_t number = free_.front();
    free_.pop_front();
    ask(number, due(questions_));
  }
}

steady_clock::time_point Generator::next_event(steady_clock::time_point now) const {
  if (plan_.rate > 0 && !is_over(due(questions_))) return due(questions_);
  return is_over(now)
             ? end_ + std::chrono::duration_cast<steady_clock::duration>(Seconds(kPatienceS))
             : end_;
}

Result<void> Generator::wait() {
  const auto now = steady_clock::now();
  const auto left = std::max(next_event(now) - now, steady_clock::duration(0));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  const timespec timeout{seconds.count(), (left - seconds).count()};
  std::array<epoll_event, kEventsMax> events{};
  const int ready = ::epoll_pwait2(epoll_, events.data(), kEventsMax, &timeout, nullptr);
  if (ready < 0 && errno != EINTR) return fail(ErrorCode::kIo, "epoll does not wait");
  for (int i = 0; i < ready; ++i) NOTP_TRY(on_ready(events[static_cast<size_t>(i)].data.u64));
  return {};
}

Result<LoadFigures> Generator::run() {
  NOTP_TRY(open_all());
  ::prctl(PR_SET_TIMERSLACK, kTimerSlackNs);
  const double cpu_before = cpu_seconds();
  start_ = steady_clock::now();
  end_ = start_ + std::chrono::duration_cast<steady_clock::duration>(Seconds(plan_.seconds));
  if (plan_.rate == 0)
    for (size_t i = 0; i < plan_.connections; ++i) ask(i, steady_clock::now());
  for (;;) {
    const auto now = steady_clock::now();
    ask_what_is_due(now);
    if (is_over(now) && open_ == 0 && overdue_.empty()) break;
    if (Seconds(now - end_).count() > kPatienceS)
      return fail(ErrorCode::kTimeout, fmt::format("the PDP leaves {} questions open", open_));
    NOTP_TRY(wait());
  }
  figures_.generator_cpu_s = cpu_seconds() - cpu_before;
  return std::move(figures_);
}

}  // namespace

Result<LoadFigures> run_load(const LoadPlan& plan) { return Generator(plan).run(); }

EndlessQuestions::EndlessQuestions(PdpAddress address, Bytes request, size_t connections,
                                   TimeMs cut_ms)
    : address_(std::move(address)),
      request_(std::move(request)),
      cut_ms_(cut_ms),
      counts_(connections) {
  for (Counts& counts : counts_)
    threads_.emplace_back([this, &counts](std::stop_token stop) { ask_on_and_on(stop, counts); });
}

void EndlessQuestions::Counts::add(const Counts& other) {
  asked += other.asked;
  cut += other.cut;
  lost += other.lost;
  for (const auto& [status, count] : other.answers) answers[status] += count;
}

void EndlessQuestions::ask_on_and_on(std::stop_token stop, Counts& counts) const {
  std::optional<LoadStream> stream;
  while (!stop.stop_requested()) {
    if (!stream)
      if (auto opened = LoadStream::connect(address_)) stream = *std::move(opened);
    const TimeMs start_ms = read_clock().boot_ms;
    bool is_open = stream && stream->send(request_);
    if (is_open) ++counts.asked;
    if (!is_open) stream.reset();
    // Waits until the next question is due, and this one is answered or cut.
    while (is_open ? !cut_now_ : !stop.stop_requested()) {
      const TimeMs past_ms = read_clock().boot_ms - start_ms;
      if (!is_open && past_ms >= kPaceMs) break;
      pollfd waited{is_open ? stream->fd() : -1, POLLIN, 0};
      ::poll(&waited, 1, static_cast<int>(kSliceMs));
      if (!is_open) continue;
      const auto answer = stream->receive();
      if (answer && !*answer && past_ms < cut_ms_) continue;
      is_open = false;
      if (answer && *answer) ++counts.answers[(*answer)->status];
      if (answer && !*answer) ++counts.cut;
      if (!answer) ++counts.lost;
      if (!answer || !*answer || (*answer)->closes) stream.reset();
    }
  }
}

EndlessQuestions::Counts EndlessQuestions::stop(bool cut_now) {
  cut_now_ = cut_now;
  for (std::jthread& thread : threads_) thread.request_stop();
  threads_.clear();
  Counts sum;
  for (const Counts& counts : counts_) sum.add(counts);
  return sum;
}

}  // namespace notp::bench
