#include "protocol/model/roots.hpp"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>

#include "common/limits.hpp"

namespace notp::model {
namespace {

bool starts_with(const DataPath& path, const DataPath& front) {
  return front.size() <= path.size() && std::equal(front.begin(), front.end(), path.begin());
}

// Follows the places above the roots and keeps nothing else.
class PlaceHandler {
 public:
  static constexpr size_t max_object_size = static_cast<size_t>(-1);
  static constexpr size_t max_array_size = static_cast<size_t>(-1);
  static constexpr size_t max_key_size = static_cast<size_t>(-1);
  static constexpr size_t max_string_size = static_cast<size_t>(-1);

  PlaceHandler(const DataRoots& roots, DataPath at) : roots_(roots), at_(std::move(at)) {}

  bool is_outside() const { return is_outside_; }
  const DataPath& place() const { return at_; }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code& error) {
    if (depth_inside_ > 0 || roots_.contain(at_)) {
      ++depth_inside_;
      return true;
    }
    if (!roots_.lie_below(at_)) return refuse(error);
    at_.emplace_back();
    return true;
  }
  bool on_object_end(size_t, json::error_code&) {
    if (depth_inside_ > 0)
      --depth_inside_;
    else
      at_.pop_back();
    return true;
  }
  bool on_array_begin(json::error_code& error) {
    if (!on_value(error)) return false;
    ++depth_inside_;
    return true;
  }
  bool on_array_end(size_t, json::error_code&) {
    --depth_inside_;
    return true;
  }
  bool on_key_part(json::string_view part, size_t, json::error_code&) {
    if (depth_inside_ == 0) key_.append(part);
    return true;
  }
  bool on_key(json::string_view part, size_t, json::error_code&) {
    if (depth_inside_ > 0) return true;
    key_.append(part);
    at_.back() = std::exchange(key_, {});
    return true;
  }
  bool on_string_part(json::string_view, size_t, json::error_code&) { return true; }
  bool on_string(json::string_view, size_t, json::error_code& error) { return on_value(error); }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(int64_t, json::string_view, json::error_code& error) { return on_value(error); }
  bool on_uint64(uint64_t, json::string_view, json::error_code& error) { return on_value(error); }
  bool on_double(double, json::string_view, json::error_code& error) { return on_value(error); }
  bool on_bool(bool, json::error_code& error) { return on_value(error); }
  bool on_null(json::error_code& error) { return on_value(error); }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  // No object: it cannot have members within a root.
  bool on_value(json::error_code& error) {
    return depth_inside_ > 0 || roots_.contain(at_) || refuse(error);
  }
  bool refuse(json::error_code& error) {
    is_outside_ = true;
    error = json::error::extra_data;
    return false;
  }

  const DataRoots& roots_;
  DataPath at_;              // the value's place, or that of the root that it is in
  size_t depth_inside_ = 0;  // of objects and arrays within a root
  std::string key_;          // of a place above the roots, as far as it was read
  bool is_outside_ = false;
};

}  // namespace

DataRoots::DataRoots(const std::vector<std::string>& roots) {
  for (const std::string& root : roots) roots_.push_back(data_path_of(root + "/"));
}

bool DataRoots::contain(const DataPath& path) const {
  return std::ranges::any_of(roots_, [&](const DataPath& root) { return starts_with(path, root); });
}

bool DataRoots::lie_below(const DataPath& path) const {
  return std::ranges::any_of(roots_, [&](const DataPath& root) { return starts_with(root, path); });
}

std::optional<DataPath> DataRoots::outside(DataPath at, const json::value& document) const {
  if (find_outside(at, document)) return at;
  return std::nullopt;
}

Result<std::optional<DataPath>> DataRoots::outside_of_json(DataPath at, ByteView text) const {
  json::parse_options options;
  options.max_depth = limits::kJsonDepthMax;
  json::basic_parser<PlaceHandler> parser(options, *this, std::move(at));
  json::error_code error;
  const size_t consumed = parser.write_some(false, text.data(), text.size(), error);
  if (parser.handler().is_outside()) return parser.handler().place();
  if (error) return fail_at(position_at(text, consumed), error.message());
  if (const size_t rest = text.find_first_not_of(" \t\r\n", consumed); rest != ByteView::npos)
    return fail_at(position_at(text, rest), "other text after the end of the document");
  return std::nullopt;
}

// Leaves the place in `at`. A root has fewer segments than a document may have levels, so it ends.
bool DataRoots::find_outside(DataPath& at, const json::value& value) const {
  if (contain(at)) return false;
  if (!value.is_object() || !lie_below(at)) return true;
  for (const auto& [name, member] : value.get_object()) {
    at.emplace_back(name);
    if (find_outside(at, member)) return true;
    at.pop_back();
  }
  return false;
}

}  // namespace notp::model
