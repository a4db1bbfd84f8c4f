#include "common/http/coding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <optional>

namespace notp::http {
namespace {

constexpr int kGzipWindow = 15 + 16;  // selects gzip in zlib
constexpr int kLevel = 4;
constexpr int kMemory = 8;
constexpr int kQualityOne = 1000;

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Takes the text up to `separator`, and the separator.
std::string_view take_part(std::string_view& rest, char separator) {
  const std::string_view part = rest.substr(0, rest.find(separator));
  rest.remove_prefix(std::min(rest.size(), part.size() + 1));
  return trim(part);
}

// "0", "1", "0.123" in thousandths; nullopt for anything else.
std::optional<int> parse_quality(std::string_view text) {
  constexpr size_t kLongest = 5;
  if (text.empty() || text.size() > kLongest || (text[0] != '0' && text[0] != '1'))
    return std::nullopt;
  int quality = text[0] == '1' ? kQualityOne : 0;
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  int unit = kQualityOne / 10;
  for (size_t i = 2; i < text.size(); ++i, unit /= 10) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    quality += (text[i] - '0') * unit;
  }
  return quality > kQualityOne ? std::nullopt : std::optional(quality);
}

}  // namespace

bool prefers_gzip(std::string_view accept_encoding) {
  std::optional<int> gzip, identity, any;
  while (!accept_encoding.empty()) {
    std::string_view item = take_part(accept_encoding, ',');
    if (item.empty()) continue;
    const std::string_view name = take_part(item, ';');
    item = trim(item);
    std::optional<int> quality = kQualityOne;
    if (!item.empty()) {
      if (!item.starts_with("q=") && !item.starts_with("Q=")) return false;
      quality = parse_quality(trim(item.substr(2)));
    }
    if (!quality) return false;
    if (boost::beast::iequals(name, "gzip") || boost::beast::iequals(name, "x-gzip"))
      gzip = quality;
    else if (boost::beast::iequals(name, "identity"))
      identity = quality;
    else if (name == "*")
      any = quality;
  }
  const int wanted = gzip.value_or(any.value_or(0));
  // A coding that is not named is accepted too, but with the lowest preference.
  return wanted > 0 && wanted >= identity.value_or(0);
}

Gunzip::Gunzip(size_t bytes_max) : bytes_max_(bytes_max) {
  ready_ = inflateInit2(&stream_, kGzipWindow) == Z_OK;
}

Gunzip::~Gunzip() {
  if (ready_) inflateEnd(&stream_);
}

Result<void> Gunzip::step(ByteView& packed) {
  if (!ready_) return fail(ErrorCode::kInternal, "zlib has no memory");
  if (at_end_ && inflateReset(&stream_) != Z_OK)
    return fail(ErrorCode::kInternal, "zlib cannot begin again");
  at_end_ = false;
  const size_t before = content_.size();
  // One byte above the limit shows that there is more.
  content_.resize(before + std::min(kPieceBytes, bytes_max_ - before + 1));
  stream_.next_in =
      reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));  // NOLINT: only read
  stream_.avail_in = static_cast<uInt>(std::min(packed.size(), kPieceBytes));
  const size_t given = stream_.avail_in;
  stream_.next_out = reinterpret_cast<Bytef*>(content_.data() + before);
  stream_.avail_out = static_cast<uInt>(content_.size() - before);
  const int outcome = inflate(&stream_, Z_NO_FLUSH);
  packed.remove_prefix(given - stream_.avail_in);
  content_.resize(content_.size() - stream_.avail_out);
  if (content_.size() > bytes_max_)
    return fail(ErrorCode::kLimit,
                fmt::format("the gzip content is larger than {} bytes", bytes_max_));
  at_end_ = outcome == Z_STREAM_END;
  if (outcome != Z_OK && outcome != Z_STREAM_END && outcome != Z_BUF_ERROR)
    return fail(ErrorCode::kMessage,
                fmt::format("not gzip: {}",
                            stream_.msg == nullptr ? "the content is damaged" : stream_.msg));
  return {};
}

Result<void> Gunzip::finish() const {
  if (!at_end_) return fail(ErrorCode::kMessage, "not gzip: it is cut off");
  return {};
}

Gzip::Gzip() {
  ready_ =
      deflateInit2(&stream_, kLevel, Z_DEFLATED, kGzipWindow, kMemory, Z_DEFAULT_STRATEGY) == Z_OK;
}

Gzip::~Gzip() {
  if (ready_) deflateEnd(&stream_);
}

Result<void> Gzip::run(int flush) {
  if (!ready_) return fail(ErrorCode::kInternal, "zlib has no memory");
  int outcome = Z_OK;
  do {
    const size_t before = packed_.size();
    packed_.resize(before + (64 << 10));
    stream_.next_out = reinterpret_cast<Bytef*>(packed_.data() + before);
    stream_.avail_out = static_cast<uInt>(packed_.size() - before);
    outcome = deflate(&stream_, flush);
    packed_.resize(packed_.size() - stream_.avail_out);
    if (outcome == Z_STREAM_ERROR) return fail(ErrorCode::kInternal, "zlib failed");
  } while (stream_.avail_out == 0);
  return {};
}

Result<void> Gzip::step(ByteView& content) {
  stream_.next_in =
      reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));  // NOLINT: only read
  stream_.avail_in = static_cast<uInt>(std::min(content.size(), kPieceBytes));
  content.remove_prefix(stream_.avail_in);
  return run(Z_NO_FLUSH);
}

Result<Bytes> Gzip::finish() {
  stream_.avail_in = 0;
  NOTP_TRY(run(Z_FINISH));
  return std::move(packed_);
}

}  // namespace notp::http
