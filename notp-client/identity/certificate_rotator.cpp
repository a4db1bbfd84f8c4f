#include "notp-client/identity/certificate_rotator.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/crypto/certificate.hpp"
#include "common/limits.hpp"
#include "common/log.hpp"
#include "notp-client/identity/identity_files.hpp"

namespace notp::identity {

namespace asio = boost::asio;

CertificateRotator::CertificateRotator(asio::any_io_executor executor, transport::TlsSource& tls,
                                       bool renew, Random& random, CertificateRotatorHooks hooks)
    : tls_(tls),
      renew_(renew),
      hooks_(std::move(hooks)),
      timer_(executor),
      files_(std::move(executor), [this] { look(); }),
      renewal_(random),
      seen_(tls.current()) {
  renewal_.hold(seen_->not_before_ms(), seen_->not_after_ms());
}

void CertificateRotator::start() {
  stopped_ = false;
  const transport::TlsFiles files = tls_.files();
  std::vector<std::filesystem::path> watched = {files.certificate, files.private_key,
                                                files.authorities};
  if (!files.built_in_authorities.empty()) watched.push_back(files.built_in_authorities);
  files_.watch(watched);
  look();
}

void CertificateRotator::stop() {
  stopped_ = true;
  timer_.cancel();
  files_.stop();
}

void CertificateRotator::look() {
  take_files();
  if (!renew_) return;
  const Now now = read_clock();
  renewal_.tick(now);
  if (renewal_.is_due(now)) ask();
  look_later();
}

void CertificateRotator::look_later() {
  const Now now = read_clock();
  const TimeMs next_ms = renewal_.next_deadline(now);
  timer_.cancel();
  if (next_ms == kNever || stopped_) return;
  timer_.expires_after(
      std::chrono::milliseconds(std::clamp<TimeMs>(next_ms - now.boot_ms, 0, limits::kWallWaitMs)));
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error) look();
  });
}

// Dials reload the files, too: the context in use is what counts.
void CertificateRotator::take_files() {
  if (const auto fresh = tls_.reload(); !fresh) {
    if (fresh.error().message != std::exchange(logged_, fresh.error().message))
      log::write(log::Level::kError, "certificates_not_reloaded", fresh.error());
  } else {
    logged_.clear();
  }
  if (tls_.current() == seen_) return;
  seen_ = tls_.current();
  renewal_.hold(seen_->not_before_ms(), seen_->not_after_ms());
  log::info("certificates_reloaded", {{"not_after_ms", seen_->not_after_ms()}});
  hooks_.recheck();
}

void CertificateRotator::ask() {
  auto made = make_certificate_request();
  if (!made) return log::write(log::Level::kError, "certificate_not_renewed", made.error());
  ++request_;
  if (!hooks_.ask({request_, wire::RenewCertificate{std::move(made->request)}}))
    return renewal_.failed(read_clock());
  key_pem_ = std::move(made->key_pem);
  renewal_.asked(read_clock());
}

void CertificateRotator::on_answer(wire::Response response) {
  if (response.request != request_ || !renewal_.is_waiting()) return;
  const auto taken = take(std::move(response));
  key_pem_.clear();
  if (taken) {
    take_files();
    return look_later();
  }
  renewal_.failed(read_clock());
  look_later();
  log::write(log::Level::kError, "certificate_not_renewed", taken.error(),
             {{"not_after_ms", seen_->not_after_ms()}});
}

// Writes nothing that would lock this node out.
Result<void> CertificateRotator::take(wire::Response&& response) {
  NOTP_ASSIGN(const wire::Certificate issued,
              wire::take_response<wire::RenewCertificate>(std::move(response)));
  NOTP_ASSIGN(const transport::TlsTexts texts, identity_texts(tls_.files(), key_pem_, issued));
  NOTP_ASSIGN(const auto next, transport::TlsContext::make(texts, transport::Side::kClient));
  const auto& own = seen_->identity();
  const auto& renewed = next->identity();
  if (!renewed) return std::unexpected(renewed.error());
  if (own && own->text() != renewed->text())
    return fail(ErrorCode::kIdentity, "the registry sent a certificate of " + renewed->text());
  if (next->not_after_ms() <= read_clock().wall_ms)
    return fail(ErrorCode::kCertificateExpired, "the registry sent a certificate that has ended");
  NOTP_TRY(hooks_.trusts_registry(*next));
  NOTP_TRY(write_identity(tls_.files(), texts));
  log::info("certificate_renewed",
            {{"identity", renewed->text()}, {"not_after_ms", next->not_after_ms()}});
  return {};
}

}  // namespace notp::identity
