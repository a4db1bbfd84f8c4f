#include "notp-server/lane_inputs/stream_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/mutex.hpp"
#include "common/spawn.hpp"
#include "notp-server/lane_inputs/pull_limits.hpp"
#include "notp-server/lane_inputs/pull_log.hpp"
#include "notp-server/lane_inputs/source_thread.hpp"

namespace notp::lane_inputs {
namespace {

namespace asio = boost::asio;

class StreamSource final : public lane::LaneSource {
 public:
  StreamSource(const SourceConfig& config, const SourceParts& parts, TokenFeedPtr feed,
               std::vector<std::unique_ptr<Introspector>> introspectors)
      : config_(config),
        terms_(static_cast<const StreamSourceTerms&>(*config_.terms)),
        parts_(parts),
        feed_(std::move(feed)),
        log_(parts.lane, config.name),
        introspectors_(std::move(introspectors)),
        core_(terms_.stream, random_, read_clock()) {
    for (const auto& one : introspectors_) idle_.push_back(one.get());
  }
  ~StreamSource() override { thread_.stop(); }

  void start() override {
    thread_.start([this] { return run(); });
  }
  void stop() override { thread_.stop(); }
  lane::SourceState state() const override;

 private:
  asio::awaitable<void> run();
  // Asks the lane for a page at a time: messages do not wait for more.
  void look();
  // Starts each effect that is due.
  void start_effects();
  asio::awaitable<void> listen();
  asio::awaitable<void> resolve(ResolveOrder order, Introspector* by);
  asio::awaitable<void> hand_over(std::vector<lane::IncomingEvent> events);
  void take_message(std::string_view text);
  std::string tells() const;

  const SourceConfig config_;
  const StreamSourceTerms& terms_;
  const SourceParts parts_;
  const TokenFeedPtr feed_;
  SystemRandom random_;
  PullLog log_;  // of the thread
  const std::vector<std::unique_ptr<Introspector>> introspectors_;
  std::vector<Introspector*> idle_;
  Wakeup* wakeup_ = nullptr;

  mutable Mutex mutex_;
  StreamCore core_ NOTP_GUARDED_BY(mutex_);
  SourceThread thread_;
};

std::string StreamSource::tells() const {
  if (terms_.stream.form == IdForm::kSha256)
    return "adds and deletes that are sent while it is connected, without attributes; not: what "
           "was "
           "sent while it was not, about which nothing can be asked";
  const int64_t sweep_s = kSweepMs / 1'000 + static_cast<int64_t>(terms_.stream.book_max) /
                                                 terms_.stream.sweep_per_second;
  return fmt::format(
      "adds, and deletes, of which a lost one is found within {} s; not: tokens that the provider "
      "does "
      "not introspect (JWTs, at many), deletes of the time when this registry was down",
      sweep_s);
}

lane::SourceState StreamSource::state() const {
  const MutexLock lock(mutex_);
  lane::SourceState out = core_.state(read_clock());
  out.name = config_.name;
  out.kind = config_.kind;
  out.tells = tells();
  return out;
}

asio::awaitable<void> StreamSource::run() {
  Wakeup wakeup(thread_.context());
  wakeup_ = &wakeup;
  while (true) {
    look();
    start_effects();
    const lane::SourceState now = state();
    log_.state_is(now.state, now.message);
    TimeMs next_ms = kNever;
    std::optional<Error> refusal;
    {
      const MutexLock lock(mutex_);
      next_ms = core_.next_deadline();
      refusal = core_.take_refusal();
    }
    if (refusal) log_.failed(*refusal);
    co_await wakeup.wait_until(next_ms);
  }
}

void StreamSource::look() {
  const auto after = [this] {
    const MutexLock lock(mutex_);
    return core_.next_look(read_clock());
  }();
  if (!after) return;
  auto page = parts_.intake.living(config_.name, *after);
  if (!page) log_.failed(page.error());
  const MutexLock lock(mutex_);
  core_.looked(std::move(page), read_clock());
}

// Each of them may run to its end at once, and needs the mutex for it.
void StreamSource::start_effects() {
  const Now now = read_clock();
  bool is_to_connect = false;
  std::vector<std::pair<ResolveOrder, Introspector*>> orders;
  std::optional<std::vector<lane::IncomingEvent>> events;
  {
    const MutexLock lock(mutex_);
    is_to_connect = core_.begin_connect(now);
    while (!idle_.empty()) {
      auto order = core_.next_resolve(now);
      if (!order) break;
      orders.emplace_back(*std::move(order), idle_.back());
      idle_.pop_back();
    }
    events = core_.next_take(now);
  }
  if (is_to_connect) spawn(thread_.context().get_executor(), listen());
  for (auto& [order, by] : orders)
    spawn(thread_.context().get_executor(), resolve(std::move(order), by));
  if (events) spawn(thread_.context().get_executor(), hand_over(*std::move(events)));
}

asio::awaitable<void> StreamSource::listen() {
  const FeedListener listener{.subscribed =
                                  [this] {
                                    log_.succeeded();
                                    const MutexLock lock(mutex_);
                                    core_.connected(read_clock());
                                    wakeup_->wake();
                                  },
                              .message = [this](std::string_view text) { take_message(text); },
                              .heard =
                                  [this] {
                                    const MutexLock lock(mutex_);
                                    core_.heard(read_clock());
                                  }};
  Error error = co_await feed_->run(listener);
  log_.failed(error);
  {
    const MutexLock lock(mutex_);
    core_.disconnected(std::move(error), read_clock());
  }
  wakeup_->wake();
}

void StreamSource::take_message(std::string_view text) {
  auto message = terms_.is_base64 ? read_base64_message(text, terms_.stream.form)
                                  : read_token_message(text, terms_.stream.form);
  const MutexLock lock(mutex_);
  core_.message(std::move(message), read_clock());
  wakeup_->wake();
}

asio::awaitable<void> StreamSource::resolve(ResolveOrder order, Introspector* by) {
  auto result = co_await by->resolve(order.token.text());
  if (!result) log_.failed(result.error());
  idle_.push_back(by);
  {
    const MutexLock lock(mutex_);
    core_.resolved(order.id, std::move(result), read_clock());
  }
  wakeup_->wake();
}

asio::awaitable<void> StreamSource::hand_over(std::vector<lane::IncomingEvent> events) {
  auto outcome = co_await thread_.take(parts_.intake, config_.name, std::move(events));
  if (!outcome) log_.failed(outcome.error());
  {
    const MutexLock lock(mutex_);
    core_.taken(std::move(outcome), read_clock());
  }
  wakeup_->wake();
}

}  // namespace

std::vector<std::string_view> with_stream_keys(std::vector<std::string_view> own) {
  own.insert(own.end(), {"ids", "introspection", "book_max", "sweep_per_s"});
  return own;
}

Result<void> load_stream(const config::Section& section, StreamSourceTerms& out) {
  const bool are_hashes = section.text_or_empty("ids") == "sha256";
  out.stream.form = are_hashes ? IdForm::kSha256 : IdForm::kToken;
  if (section.has("book_max")) out.stream.book_max = section.size("book_max");
  if (section.has("sweep_per_s")) out.stream.sweep_per_second = section.integer("sweep_per_s");
  if (are_hashes == section.has("introspection"))
    return fail(ErrorCode::kConfig,
                are_hashes ? "introspection asks about tokens, and ids are hashes (sha256)"
                           : "introspection is missing: the messages have no attributes");
  if (are_hashes) return {};
  auto introspection = load_introspection(section.section("introspection"));
  if (!introspection) return std::unexpected(std::move(introspection).error().in("introspection"));
  out.introspection = *std::move(introspection);
  return {};
}

Result<std::unique_ptr<lane::LaneSource>> make_stream_source(const SourceConfig& config,
                                                             const SourceParts& parts,
                                                             TokenFeedPtr feed) {
  const auto& terms = static_cast<const StreamSourceTerms&>(*config.terms);
  std::vector<std::unique_ptr<Introspector>> introspectors;
  for (size_t i = 0; terms.introspection && i < kIntrospectionCallsMax; ++i) {
    NOTP_ASSIGN(auto one,
                Introspector::open(*terms.introspection, parts.environment, parts.issuer_keys));
    introspectors.push_back(std::move(one));
  }
  return std::make_unique<StreamSource>(config, parts, std::move(feed), std::move(introspectors));
}

}  // namespace notp::lane_inputs
