#include "common/http/request_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>

#include "common/json/json.hpp"

namespace notp::http {
namespace {

namespace message = boost::beast::http;
using boost::beast::iequals;

constexpr std::string_view kHeaderEnd = "\r\n\r\n";

Response bad(std::string_view what) {
  return error_response(400, "invalid_request", fmt::format("not HTTP/1.1: {}", what));
}

Response header_too_large(size_t bytes_max) {
  return error_response(
      431, "request_too_large",
      fmt::format("the request header has more than the {} bytes that are taken", bytes_max));
}

// Whether a line continues in the next one (obs-fold), or ends in LF alone.
bool has_odd_lines(ByteView block) {
  for (size_t at = block.find('\n'); at != ByteView::npos; at = block.find('\n', at + 1)) {
    if (at == 0 || block[at - 1] != '\r') return true;
    if (at + 1 < block.size() && (block[at + 1] == ' ' || block[at + 1] == '\t')) return true;
  }
  return false;
}

// Splits "http://host/path" (RFC 9112 §3.2.2) in two; nullopt when it is not an absolute form.
std::optional<std::pair<std::string_view, std::string_view>> absolute_form(
    std::string_view target) {
  const size_t mark = target.find("://");
  if (mark == std::string_view::npos ||
      (!iequals(target.substr(0, mark), "http") && !iequals(target.substr(0, mark), "https")))
    return std::nullopt;
  target.remove_prefix(mark + 3);
  const size_t end = std::min(target.size(), target.find_first_of("/?"));
  return std::pair(target.substr(0, end), target.substr(end));
}

}  // namespace

Response body_too_large(std::string_view what, size_t bytes_max, std::string_view key) {
  std::string text = fmt::format("{} has more than the {} bytes that are taken", what, bytes_max);
  if (!key.empty()) text += fmt::format(": raise {} in the configuration of this server", key);
  return error_response(413, "request_too_large", text);
}

RequestReader::RequestReader(const ReaderLimits& limits) : limits_(limits) {
  parser_.header_limit(static_cast<uint32_t>(limits.header_bytes_max));
  parser_.body_limit(limits.body_bytes_max);
}

std::expected<size_t, Response> RequestReader::feed(ByteView bytes) {
  if (!has_header_) {
    const size_t end = bytes.find(kHeaderEnd, searched_ < 3 ? 0 : searched_ - 3);
    searched_ = bytes.size();
    if (end == ByteView::npos && bytes.size() < limits_.header_bytes_max) {
      // Otherwise the parser would wait for ever after a line that ends in LF alone.
      if (has_odd_lines(bytes)) return std::unexpected(bad("a line does not end in CR LF"));
      return 0;
    }
    if (end == ByteView::npos || end + kHeaderEnd.size() > limits_.header_bytes_max)
      return std::unexpected(header_too_large(limits_.header_bytes_max));
    bytes = bytes.substr(0, end + kHeaderEnd.size());
    if (has_odd_lines(bytes))
      return std::unexpected(bad("a line does not end in CR LF, or goes on in the next"));
  }
  boost::system::error_code error;
  const size_t used = parser_.put(boost::asio::buffer(bytes.data(), bytes.size()), error);
  if (error == message::error::need_more) error = {};
  if (error == message::error::body_limit)
    return std::unexpected(
        body_too_large("the request body", limits_.body_bytes_max, limits_.body_bytes_key));
  if (error == message::error::header_limit)
    return std::unexpected(header_too_large(limits_.header_bytes_max));
  if (error) return std::unexpected(bad(error.message()));
  if (!has_header_) {
    if (!parser_.is_header_done()) return std::unexpected(bad("the header is malformed"));
    has_header_ = true;
    if (auto refused = check_fields()) return std::unexpected(std::move(*refused));
  }
  return used;
}

std::optional<Response> RequestReader::check_fields() {
  const auto& header = parser_.get();
  const auto count = [&](message::field field) {
    return std::ranges::count_if(header, [field](auto& it) { return it.name() == field; });
  };
  if (header.version() != 10 && header.version() != 11)
    return error_response(505, "invalid_request", "this server speaks HTTP/1.1");
  if (count(message::field::transfer_encoding) > 0) {
    // Beast treats a list that does not end in "chunked" as no body at all.
    if (count(message::field::transfer_encoding) > 1 || header.version() == 10 ||
        !iequals(header[message::field::transfer_encoding], "chunked"))
      return error_response(501, "invalid_request", "no transfer coding but chunked is known");
    if (count(message::field::content_length) > 0)
      return bad("both Content-Length and Transfer-Encoding");
  }
  // Beast treats a list of equal lengths as one.
  if (count(message::field::content_length) > 1 ||
      header[message::field::content_length].find(',') != std::string_view::npos)
    return bad("several Content-Length");
  if (count(message::field::host) > 1) return bad("several Host");
  if (count(message::field::host) == 0 && header.version() == 11) return bad("no Host");
  if (const auto expect = header[message::field::expect]; !expect.empty()) {
    if (!iequals(expect, "100-continue"))
      return error_response(417, "invalid_request", "the only known expectation is 100-continue");
    wants_continue_ = header.version() == 11 && !parser_.is_done();
  }
  keep_alive_ = parser_.keep_alive();
  host_ = header[message::field::host];
  return read_target();
}

std::optional<Response> RequestReader::read_target() {
  const auto& header = parser_.get();
  std::string_view target(header.target().data(), header.target().size());
  if (const auto absolute = absolute_form(target)) {
    host_ = absolute->first;
    target = absolute->second;
  }
  const size_t mark = target.find('?');
  request_.method = header.method_string();
  request_.raw_path = target.substr(0, mark);
  if (request_.raw_path.empty()) request_.raw_path = "/";
  if (mark != std::string_view::npos) request_.query = target.substr(mark + 1);
  if (request_.raw_path == "*" && request_.method == "OPTIONS") request_.raw_path = "/";
  const auto path = percent_decode(request_.raw_path);
  if (!path || !path->starts_with('/'))
    return error_response(400, "invalid_request", "the request target is not a path");
  // Names of documents are text, and answers quote them.
  if (!check_utf8(*path))
    return error_response(400, "invalid_request", "the path of the request is not UTF-8");
  request_.path = *path;
  // Copied now, so that fields of a trailer do not become part of the header.
  for (const auto& field : header)
    request_.headers.emplace_back(field.name_string(), field.name() == message::field::host
                                                           ? std::string_view(host_)
                                                           : std::string_view(field.value()));
  return std::nullopt;
}

Request RequestReader::take() {
  request_.body = std::move(parser_.get().body());
  return std::move(request_);
}

}  // namespace notp::http
