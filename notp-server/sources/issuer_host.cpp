#include "notp-server/sources/issuer_host.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/limits.hpp"

namespace notp::sources {
namespace {

// A machine that slept is noticed within this time.
constexpr TimeMs kLookMs = 30'000;
constexpr size_t kMessageBytesMax = 512, kShownKidBytes = 64;

// " +a +b -c"
std::string changes(const std::vector<std::string>& before, const std::vector<std::string>& after) {
  std::string out;
  const auto add = [&](char sign, const auto& from, const auto& other) {
    for (const std::string& kid : from)
      if (!std::ranges::binary_search(other, kid))
        out +=
            fmt::format(" {}{}", sign, kid.empty() ? "(no kid)" : printable(kid, kShownKidBytes));
  };
  add('+', after, before);
  add('-', before, after);
  return out;
}

TimeMs wall_of(TimeMs boot_ms, Now now) {
  return std::max<TimeMs>(0, now.wall_ms + (boot_ms - now.boot_ms));
}

}  // namespace

IssuerHost::IssuerHost(const IssuerConfig& config, http::Client client,
                       std::optional<oauth::TokenClient> tokens, registry::Registry& registry,
                       LedgerKeys& keys)
    : config_(config),
      registry_(registry),
      keys_(keys),
      calls_(std::move(client), std::move(tokens)),
      log_(config_.name, config_.terms.urls.issuer, config_.ledger.text()),
      core_(random_, read_clock()) {}

IssuerHost::~IssuerHost() { stop(); }

void IssuerHost::start(std::function<void()> changed) {
  changed_ = std::move(changed);
  thread_ = std::thread([this] { run(); });
}

void IssuerHost::stop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  calls_.stop();
  if (thread_.joinable()) thread_.join();
}

// --- the thread

void IssuerHost::run() {
  look_at_head();
  while (const auto effect = next_effect()) {
    if (const auto* order = std::get_if<FetchOrder>(&*effect))
      fetch(*order);
    else
      publish(std::get<PublishOrder>(*effect));
    log_.state_is(status(read_clock()).state);
    changed_();
  }
}

// A head that cannot be read is the publisher's error, when it comes to that.
void IssuerHost::look_at_head() {
  const auto head = registry_.head(config_.ledger);
  if (!head) return;
  const auto snapshot = registry_.snapshot(config_.ledger, head->release.version);
  if (!snapshot) return;
  const model::ModelContent& content = (*snapshot)->content;
  const model::FileEntry* const entry = content.tree->find(key_set_path(config_.name));
  if (entry == nullptr) return;
  const auto document = content.loader()(entry->hash);
  if (!document) return;
  const MutexLock lock(mutex_);
  core_.held(kids_in(**document), head->release.version);
}

std::optional<IssuerEffect> IssuerHost::next_effect() {
  MutexLock lock(mutex_);
  wire::IssuerState said = core_.state(read_clock());
  while (!stopping_) {
    const Now now = read_clock();
    if (auto effect = core_.on_deadline(now)) return effect;
    if (const wire::IssuerState state = core_.state(now); state != said) {
      said = state;
      lock.unlock();
      log_.state_is(state);
      changed_();
      lock.lock();
      continue;
    }
    const TimeMs next_ms = std::min(core_.next_deadline(), core_.state_changes_ms(now));
    const TimeMs wait_ms = next_ms == kNever ? kLookMs : next_ms - now.boot_ms;
    wake_.wait_for(lock, std::chrono::milliseconds(std::clamp<TimeMs>(wait_ms, 0, kLookMs)));
  }
  return std::nullopt;
}

void IssuerHost::fetch(const FetchOrder& order) {
  auto fetched = fetch_keys(
      config_.terms, order, [this](http::Call call) { return calls_.call(std::move(call)); },
      [] { return read_clock().boot_ms; },
      [this](http::Call call) { return calls_.call_authorized(std::move(call)); });
  if (fetched)
    log_.fetch_succeeded();
  else if (fetched.error().code != ErrorCode::kCancelled)
    log_.fetch_failed(fetched.error());
  const MutexLock lock(mutex_);
  core_.fetched(std::move(fetched), read_clock());
}

void IssuerHost::publish(const PublishOrder& order) {
  auto published = keys_.publish(config_.name, order.keys.document, message_of(order.keys),
                                 read_clock().wall_ms);
  if (published)
    log_.publish_succeeded();
  else
    log_.publish_failed(published.error());
  const MutexLock lock(mutex_);
  core_.published(std::move(published), read_clock());
}

std::string IssuerHost::message_of(const AcceptedKeySet& keys) const {
  const MutexLock lock(mutex_);
  const std::string changed = changes(core_.facts().kids, keys.kids);
  return printable(fmt::format("keys of {}{}{}", config_.name, changed.empty() ? "" : ":", changed),
                   kMessageBytesMax);
}

// --- other threads

void IssuerHost::unknown_key(std::string_view kid) {
  {
    const MutexLock lock(mutex_);
    const TimeMs before_ms = core_.next_deadline();
    core_.unknown_key(kid, read_clock());
    // Most reports change nothing.
    if (core_.next_deadline() == before_ms) return;
  }
  wake_.notify_all();
}

Result<void> IssuerHost::refresh() {
  {
    const MutexLock lock(mutex_);
    NOTP_TRY(core_.refresh(read_clock()));
  }
  wake_.notify_all();
  return {};
}

void IssuerHost::root_changed() {
  {
    const MutexLock lock(mutex_);
    core_.root_changed(read_clock());
  }
  wake_.notify_all();
}

wire::IssuerStatus IssuerHost::status(Now now) const {
  const MutexLock lock(mutex_);
  return {config_.name, config_.terms.urls.issuer, config_.ledger, core_.state(now),
          core_.facts().good_ms};
}

wire::SourceRow IssuerHost::row(Now now) const {
  wire::SourceRow out;
  out.status = status(now);
  const MutexLock lock(mutex_);
  const IssuerFacts& facts = core_.facts();
  out.fetched_ms = facts.fetched_ms;
  out.next_ms = wall_of(core_.next_fetch_ms(now), now);
  if (facts.error) {
    out.code = static_cast<uint32_t>(facts.error->code);
    out.message = printable(facts.error->message, limits::kErrorTextBytesMax - 8);
  }
  out.version = facts.version;
  out.fetches = facts.fetches_total();
  out.unknown_keys = facts.unknown_keys;
  out.jwks_uri = facts.jwks_uri;
  out.kids = facts.kids;
  return out;
}

IssuerReport IssuerHost::report(Now now) const {
  const MutexLock lock(mutex_);
  return {config_.name, core_.state(now), core_.facts()};
}

}  // namespace notp::sources
