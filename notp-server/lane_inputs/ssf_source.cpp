#include "notp-server/lane_inputs/ssf_source.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "common/log.hpp"
#include "notp-server/lane_inputs/lane_input_limits.hpp"
#include "notp-server/lane_inputs/poller.hpp"
#include "notp-server/lane_inputs/push_access.hpp"
#include "notp-server/lane_inputs/set_push_source.hpp"
#include "notp-server/lane_inputs/source_thread.hpp"
#include "notp-server/lane_inputs/ssf_core.hpp"

namespace notp::lane_inputs {

namespace asio = boost::asio;

namespace {

TransmitterRules rules_of(const SsfTerms& terms) {
  return {.issuer = terms.rules.issuer,
          .hosts = terms.hosts,
          .insecure_loopback = terms.remote.insecure_loopback,
          .is_push = terms.is_push,
          .push_url = terms.push_url,
          .events = wanted_events(terms.rules)};
}

// Events about the stream, on their way from the thread that took them. Thread-safe.
class StreamEvents {
 public:
  void open(std::function<void()> wake) {
    const MutexLock lock(mutex_);
    wake_ = std::move(wake);
  }
  void close() {
    const MutexLock lock(mutex_);
    wake_ = nullptr;
  }
  void add(const SecurityEvent& event) {
    const MutexLock lock(mutex_);
    if (!wake_ || events_.size() == kStreamEventsMax) return;
    events_.push_back(event);
    wake_();
  }
  std::vector<SecurityEvent> take() {
    const MutexLock lock(mutex_);
    return std::exchange(events_, {});
  }

 private:
  Mutex mutex_;
  std::function<void()> wake_ NOTP_GUARDED_BY(mutex_);
  std::vector<SecurityEvent> events_ NOTP_GUARDED_BY(mutex_);
};

class SsfSource final : public lane::LaneSource {
 public:
  SsfSource(const SsfTerms& terms, const SourceConfig& config, const SourceParts& parts,
            RemoteClient client)
      : terms_(terms),
        lane_(parts.lane),
        name_(config.name),
        routes_(parts.routes),
        events_(std::make_shared<StreamEvents>()),
        stats_(std::make_shared<SourceStats>(parts.lane, config.name, config.kind, kSetTells,
                                             Contact::kActive)),
        taker_(std::make_shared<SetTaker>(
            terms.rules, parts, config.name, stats_,
            [events = events_](const SecurityEvent& event) { events->add(event); })),
        client_(std::move(client)),
        core_(rules_of(terms), terms.rules.audiences.empty() ? "" : terms.rules.audiences.front(),
              fmt::format("NOTP lane {}, source {}", parts.lane, config.name), random_,
              read_clock().boot_ms) {
    if (terms_.is_push) receiver_ = make_set_receiver(terms_.sender, taker_, stats_);
  }
  ~SsfSource() override { stop(); }
  SsfSource(const SsfSource&) = delete;
  SsfSource& operator=(const SsfSource&) = delete;

  void start() override {
    if (receiver_) routes_->add(lane_, PushForm::kSets, receiver_);
    thread_.start([this] { return run(); });
  }
  // The stream stays at the transmitter, which keeps events until the next start.
  void stop() override {
    if (receiver_) routes_->remove(receiver_);
    events_->close();
    taker_->close();
    thread_.stop();
  }
  lane::SourceState state() const override { return stats_->state(read_clock()); }

 private:
  asio::awaitable<void> run() {
    Wakeup wakeup(thread_.context());
    events_->open([this, &wakeup] { asio::post(thread_.context(), [&wakeup] { wakeup.wake(); }); });
    while (true) {
      const TimeMs now_ms = read_clock().boot_ms;
      for (const SecurityEvent& event : events_->take()) core_.on_event(event, now_ms);
      follow_stream();
      const TimeMs poll_ms = poller_ ? poller_->next_deadline() : kNever;
      if (core_.next_deadline() <= now_ms)
        co_await manage();
      else if (poll_ms <= now_ms)
        co_await poll();
      else
        co_await wakeup.wait_until(std::min(core_.next_deadline(), poll_ms));
    }
  }

  asio::awaitable<void> manage() {
    std::string authorization;
    std::optional<Error> unreadable;
    if (terms_.is_push && !terms_.sender.authorization_file.empty()) {
      auto read = read_authorization(terms_.sender.authorization_file);
      if (read)
        authorization = *std::move(read);
      else
        unreadable = std::move(read).error();
    }
    SsfOrder order = core_.begin(authorization, read_clock().boot_ms);
    Result<http::Response> response = fail(ErrorCode::kConfig, "");
    if (unreadable)
      response = std::unexpected(*std::move(unreadable));
    else if (order.is_public)
      response = co_await client_.call_public(std::move(order.call));
    else
      response = co_await client_.call(std::move(order.call));
    const Now now = read_clock();
    core_.answered(response, now.boot_ms);
    stats_->trouble(core_.trouble(), now);
    if (terms_.is_push && core_.stream() != nullptr && !core_.trouble()) stats_->succeeded(now);
  }

  asio::awaitable<void> poll() {
    const auto polled = co_await poller_->poll_once();
    if (polled || polled.error().code != ErrorCode::kNotFound) co_return;
    const Now now = read_clock();
    core_.stream_gone(now.boot_ms);
    stats_->trouble(core_.trouble(), now);
  }

  // Uses what the core has found or made since.
  void follow_stream() {
    const SsfStream* const stream = core_.stream();
    if (stream == nullptr) {
      poller_.reset();
      return;
    }
    if (core_.generation() == generation_ && (poller_ || terms_.is_push)) return;
    generation_ = core_.generation();
    if (terms_.rules.audiences.empty()) taker_->set_audiences(stream->audiences);
    poller_.reset();
    if (!terms_.is_push)
      poller_ =
          std::make_unique<Poller>(stream->endpoint, terms_.interval_ms, client_, *taker_, *stats_);
    describe(*stream);
  }

  void describe(const SsfStream& stream) {
    std::vector<std::string_view> names;
    for (const std::string& uri :
         stream.events_delivered.empty() ? stream.events_requested : stream.events_delivered)
      names.push_back(event_name(uri));
    stats_->tells(printable(fmt::format("{}; not: tokens that were revoked (RFC 7009), new tokens",
                                        fmt::join(names, ", ")),
                            kTellsBytesMax));
    stats_->remark(
        core_.adds_subjects()
            ? "by its metadata the transmitter sends events of subjects alone that were added "
              "there (default_subjects: NONE), unless it has another rule for this client"
            : "");
    log::info("lane_stream_used", {{"lane", lane_},
                                   {"source", name_},
                                   {"stream", printable(stream.id)},
                                   {"delivery", terms_.is_push ? "push" : "poll"}});
  }

  const SsfTerms terms_;
  const std::string lane_, name_;
  PushRoutes* const routes_;
  const std::shared_ptr<StreamEvents> events_;
  const std::shared_ptr<SourceStats> stats_;
  const std::shared_ptr<SetTaker> taker_;
  std::shared_ptr<PushReceiver> receiver_;  // with push
  RemoteClient client_;
  SystemRandom random_;
  SsfCore core_;
  uint64_t generation_ = 0;  // of the stream that is used
  std::unique_ptr<Poller> poller_;
  SourceThread thread_;
};

}  // namespace

Result<std::unique_ptr<lane::LaneSource>> make_ssf_source(const SourceConfig& config,
                                                          const SourceParts& parts) {
  const auto& terms = dynamic_cast<const SsfTerms&>(*config.terms);
  if (terms.is_push && parts.routes == nullptr)
    return fail(ErrorCode::kConfig,
                "delivery push receives requests: lanes.listen says at which address; there is "
                "none");
  NOTP_ASSIGN(RemoteClient client,
              RemoteClient::open(terms.remote, terms.rules.issuer, parts.environment));
  return std::make_unique<SsfSource>(terms, config, parts, std::move(client));
}

}  // namespace notp::lane_inputs
