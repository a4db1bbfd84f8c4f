#include "notp-client/txn/keys/key_ring.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>

#include "common/failpoint.hpp"
#include "common/log.hpp"
#include "common/storage/files.hpp"
#include "common/storage/private_files.hpp"
#include "notp-client/txn/keys/documents.hpp"
#include "notp-client/txn/keys/ring_state.hpp"

namespace notp::txn {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;

constexpr std::string_view kRecordsFile = "keys.json";
constexpr unsigned kPrivateMode = 0600;
// Above the numbers of other requests of this process.
constexpr uint64_t kFirstRequest = uint64_t{1} << 40;

Result<std::vector<KeyRecord>> read_records(const fs::path& file) {
  const auto text = read_file(file, limits::kRingStateBytesMax);
  if (!text && text.error().code == ErrorCode::kNotFound) return std::vector<KeyRecord>{};
  if (!text) return std::unexpected(text.error());
  auto records = decode_records(*text);
  if (!records) return std::unexpected(std::move(records).error().in(file.string()));
  return records;
}

}  // namespace

KeyRing::KeyRing(asio::any_io_executor executor, KeyRingOptions options, KeyRingHooks hooks)
    : executor_(std::move(executor)),
      options_(std::move(options)),
      hooks_(std::move(hooks)),
      request_(kFirstRequest),
      view_(std::make_shared<const View>()),
      timer_(executor_) {}

Result<std::shared_ptr<KeyRing>> KeyRing::open(asio::any_io_executor executor,
                                               KeyRingOptions options, KeyRingHooks hooks) {
  NOTP_TRY(make_private_folder(options.folder));
  std::shared_ptr<KeyRing> ring(
      new KeyRing(std::move(executor), std::move(options), std::move(hooks)));
  const MutexLock lock(ring->mutex_);
  NOTP_TRY(ring->load());
  return ring;
}

fs::path KeyRing::pem_of(const std::string& kid) const { return options_.folder / (kid + ".pem"); }

Result<void> KeyRing::load() {
  NOTP_ASSIGN(std::vector<KeyRecord> records, read_records(options_.folder / kRecordsFile));
  std::vector<KeyRecord> whole;
  for (KeyRecord& record : records) {
    std::error_code ignored;
    if (!fs::exists(pem_of(record.kid), ignored)) {
      // Of one that was only prepared a crash is the cause.
      if (record.state != KeyState::kPrepared)
        log::warn("txn_key_lost", {{"kid", record.kid}, {"state", key_state_name(record.state)}});
      continue;
    }
    NOTP_ASSIGN(jose::SigningKey key,
                jose::SigningKey::load(pem_of(record.kid), jose::algorithm_of(record.alg)));
    keys_[record.kid] = std::make_shared<const RingKey>(record.kid, std::move(key));
    whole.push_back(std::move(record));
  }
  NOTP_TRY(remove_strangers());
  core_.emplace(RingOptions{.rotate_ms = options_.rotate_ms}, std::move(whole), read_clock());
  show();
  return {};
}

Result<void> KeyRing::remove_strangers() const {
  std::error_code error;
  fs::directory_iterator folder(options_.folder, error);
  if (error) return fail(ErrorCode::kIo, "cannot list " + options_.folder.string());
  for (const fs::directory_entry& entry : folder) {
    const fs::path& file = entry.path();
    const bool is_known = file.filename() == kRecordsFile ||
                          (file.extension() == ".pem" && keys_.contains(file.stem().string()));
    if (!is_known) fs::remove(file, error);
  }
  return {};
}

void KeyRing::start() {
  started_ = true;
  const MutexLock lock(mutex_);
  const Now now = read_clock();
  core_->on_deadline(now);
  static_cast<void>(drive(now));
}

void KeyRing::stop() {
  started_ = false;
  timer_.cancel();
}

void KeyRing::signed_for(const RingKey& key, TimeMs life_ms, Now now) {
  const TimeMs until_ms = now.boot_ms + life_ms;
  TimeMs known_ms = key.until_boot_ms.load(std::memory_order_relaxed);
  while (known_ms < until_ms && !key.until_boot_ms.compare_exchange_weak(known_ms, until_ms)) {
  }
}

json::array KeyRing::list() const {
  const MutexLock lock(mutex_);
  json::array out;
  for (const KeyRecord& record : core_->records())
    out.push_back(json::object{{"kid", record.kid},
                               {"alg", record.alg},
                               {"state", key_state_name(record.state)},
                               {"usable", core_->is_ready(record.kid)},
                               {"made_ms", record.made_ms},
                               {"used_ms", record.used_ms},
                               {"retired_ms", record.retired_ms}});
  return out;
}

void KeyRing::on_active(ActiveKeys active) {
  const MutexLock lock(mutex_);
  const Now now = read_clock();
  core_->on_active(std::move(active), now);
  static_cast<void>(drive(now));
}

void KeyRing::on_answer(const wire::Response& response) {
  const MutexLock lock(mutex_);
  if (response.request != request_ || asked_version_ == 0) return;
  const uint64_t version = std::exchange(asked_version_, 0);
  auto copy = response;
  const auto status = wire::take_response<wire::ReleaseStatusRequest>(std::move(copy));
  // An older registry, or one that does not let this node read the ledger: the time decides.
  if (!status) {
    if (!std::exchange(asks_in_vain_, true))
      log::write(log::Level::kWarn, "txn_release_status_unknown", status.error());
    return;
  }
  asks_in_vain_ = false;
  const Now now = read_clock();
  core_->on_status(version, *status, now);
  static_cast<void>(drive(now));
}

Result<void> KeyRing::revoke(const std::string& kid) {
  const MutexLock lock(mutex_);
  const Now now = read_clock();
  NOTP_TRY(core_->revoke(kid, now));
  const auto kept = drive(now);
  if (kept) return {};
  std::error_code ignored;
  const char* const what =
      fs::exists(pem_of(kid), ignored)
          ? "the key is out of use, but its private part is on the disk: remove {} before the "
            "service starts again ({})"
          : "the key is out of use, and {} is removed, without which it cannot come back; but the "
            "disk fails: see that the file is gone before the service starts after a crash ({})";
  return fail(ErrorCode::kIo,
              fmt::format(fmt::runtime(what), pem_of(kid).string(), kept.error().message));
}

// --- effects

Result<void> KeyRing::drive(Now now) {
  for (const auto& [kid, key] : keys_)
    if (const TimeMs until_ms = key->until_boot_ms.load(); until_ms != 0)
      core_->on_signed(kid, until_ms);
  Result<void> first;
  for (auto effects = core_->take_effects(); !effects.empty(); effects = core_->take_effects())
    for (const RingEffect& effect : effects) {
      const auto done = std::visit(
          [&](const auto& each) NOTP_REQUIRES(mutex_) { return run(each, now); }, effect);
      if (!done && first) first = done;
    }
  show();
  arm(core_->next_deadline());
  return first;
}

Result<void> KeyRing::write_records(const std::vector<KeyRecord>& records) const {
  return write_file(options_.folder / kRecordsFile, encode_records(records) + "\n", kPrivateMode);
}

Result<void> KeyRing::make(Now now) {
  NOTP_ASSIGN(jose::SigningKey key, jose::SigningKey::generate(options_.algorithm));
  NOTP_ASSIGN(const std::string pem, key.pem());
  KeyRecord record{.kid = key.public_jwk().thumbprint(),
                   .alg = std::string(jose::algorithm_name(options_.algorithm)),
                   .made_ms = now.wall_ms};
  auto records = core_->records();
  records.push_back(record);
  NOTP_TRY(write_records(records));
  failpoint("txn_key_recorded");
  NOTP_TRY(write_file(pem_of(record.kid), pem, kPrivateMode));
  failpoint("txn_key_written");
  keys_[record.kid] = std::make_shared<const RingKey>(record.kid, std::move(key));
  core_->on_made(std::move(record), now);
  return {};
}

Result<void> KeyRing::run(const ring_effect::Make&, Now now) {
  auto made = make(now);
  if (made) return {};
  log::write(log::Level::kError, "txn_keys_not_kept", made.error());
  core_->on_make_failed(now);
  return made;
}

Result<void> KeyRing::run(const ring_effect::Persist&, Now now) {
  auto written = write_records(core_->records());
  failpoint("txn_keys_persisted");
  if (written) return {};
  log::write(log::Level::kError, "txn_keys_not_kept", written.error());
  core_->on_persist_failed(now);
  return written;
}

// Whoever signs with it holds it until then.
Result<void> KeyRing::run(const ring_effect::Delete& effect, Now) {
  keys_.erase(effect.kid);
  std::error_code error;
  fs::remove(pem_of(effect.kid), error);
  if (error)
    return fail(ErrorCode::kIo,
                fmt::format("cannot remove {}: {}", pem_of(effect.kid).string(), error.message()));
  return sync_folder(options_.folder);
}

Result<void> KeyRing::run(const ring_effect::Ask& effect, Now now) {
  // A slow answer counts, too; one that was lost with its session does not come.
  if (asked_version_ != 0 && now.boot_ms < asked_boot_ms_ + limits::kRingAnswerMs) return {};
  asked_version_ = effect.version;
  asked_boot_ms_ = now.boot_ms;
  const wire::Request request{++request_,
                              wire::ReleaseStatusRequest{options_.ledger, effect.version}};
  asio::post(executor_, [self = shared_from_this(), request] {
    if (self->started_) self->hooks_.ask(request);
  });
  return {};
}

Result<void> KeyRing::run(const ring_effect::Hint& effect, Now) {
  asio::post(executor_, [self = shared_from_this(), kid = effect.kid] {
    if (self->started_) self->hooks_.hint(kid);
  });
  return {};
}

Result<void> KeyRing::run(const ring_effect::Changed& effect, Now) {
  if (effect.kid.empty())
    log::warn("txn_no_key");
  else
    log::info("txn_key_in_use", {{"kid", effect.kid}, {"all_have_it", !effect.waited}});
  return {};
}

void KeyRing::show() {
  View view;
  std::vector<jose::PublicJwk> keys;
  for (const KeyRecord& record : core_->records()) {
    const auto found = keys_.find(record.kid);
    if (found == keys_.end()) continue;
    keys.push_back(found->second->key.public_jwk(record.kid));
    if (record.kid == core_->current()) view.current = found->second;
  }
  view.jwks = jwks_document(keys);
  view_.set(std::make_shared<const View>(std::move(view)));
}

void KeyRing::arm(TimeMs deadline_boot_ms) {
  if (deadline_boot_ms == kNever) return;
  asio::post(executor_, [self = shared_from_this(), deadline_boot_ms] {
    if (!self->started_) return;
    self->timer_.expires_after(
        std::chrono::milliseconds(std::max<TimeMs>(0, deadline_boot_ms - read_clock().boot_ms)));
    self->timer_.async_wait([self](boost::system::error_code error) {
      if (!error && self->started_) self->start();
    });
  });
}

}  // namespace notp::txn
