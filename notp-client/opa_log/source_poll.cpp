#include "notp-client/opa_log/source_poll.hpp"

#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "common/http/client.hpp"
#include "common/json/json.hpp"
#include "common/mutex.hpp"
#include "notp-client/opa_log/counts.hpp"

namespace notp::opa_log {
namespace {

// labels.id of OPA's GET /v1/status.
std::string instance_in(const Bytes& body) {
  const auto document = parse_json(body);
  const json::object* object = document ? document->if_object() : nullptr;
  for (const std::string_view name : {"result", "labels"}) {
    const json::value* next = object ? object->if_contains(name) : nullptr;
    object = next ? next->if_object() : nullptr;
  }
  const json::value* id = object ? object->if_contains("id") : nullptr;
  return id && id->is_string() && id->get_string().size() <= kEventNameBytesMax
             ? std::string(id->get_string())
             : std::string();
}

}  // namespace

struct SourcePoll::State {
  State(Intake& to, SourcePollOptions of) : intake(to), options(std::move(of)) {}

  void run();
  void poll();
  // Empty: OPA does not say so.
  std::string instance() const;
  std::optional<Bytes> get(std::string_view path) const;

  Intake& intake;
  const SourcePollOptions options;
  const http::Client client;
  std::thread thread;

  Mutex mutex;
  ConditionVariable changed;
  bool is_ending NOTP_GUARDED_BY(mutex) = false;
};

std::optional<Bytes> SourcePoll::State::get(std::string_view path) const {
  auto answer = client.call_blocking(
      {.url = fmt::format("{}{}", options.url, path), .deadline_ms = options.call_ms});
  if (!answer || answer->status != 200) return std::nullopt;
  return std::move(answer->body);
}

std::string SourcePoll::State::instance() const {
  const auto status = get("/v1/status");
  return status ? instance_in(*status) : std::string();
}

void SourcePoll::State::poll() {
  const std::string before = instance();
  if (before.empty()) return;
  const auto metrics = get("/metrics");
  const auto answered = metrics ? answered_decisions(*metrics) : std::nullopt;
  // Another process may have taken the address meanwhile.
  if (answered && instance() == before) intake.polled(before, *answered);
}

void SourcePoll::State::run() {
  MutexLock lock(mutex);
  while (!is_ending) {
    lock.unlock();
    if (!options.url.empty()) poll();
    intake.settle();
    lock.lock();
    const auto until =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(options.poll_ms);
    while (!is_ending && changed.wait_until(lock, until) == std::cv_status::no_timeout) continue;
  }
}

SourcePoll::SourcePoll(Intake& intake, SourcePollOptions options)
    : state_(std::make_unique<State>(intake, std::move(options))) {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

SourcePoll::~SourcePoll() {
  {
    const MutexLock lock(state_->mutex);
    state_->is_ending = true;
    state_->changed.notify_all();
  }
  state_->thread.join();
}

}  // namespace notp::opa_log
