#include "dataplane/provider/sigv4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace signalbox {
namespace {

constexpr char kAlgorithm[] = "AWS4-HMAC-SHA256";

std::string Hex(std::string_view bytes) {
  return absl::BytesToHexString(absl::string_view(bytes.data(), bytes.size()));
}

std::string Sha256Hex(std::string_view text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return Hex({reinterpret_cast<const char*>(digest), sizeof(digest)});
}

std::string HmacSha256(std::string_view key, std::string_view text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), digest, &size);
  return {reinterpret_cast<const char*>(digest), size};
}

std::string Encode(std::string_view text, bool keep_slash) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || c == '-' || c == '_' || c == '.' || c == '~' || (c == '/' && keep_slash)) {
      encoded += c;
    } else {
      encoded += '%';
      encoded += kDigits[byte >> 4];
      encoded += kDigits[byte & 15];
    }
  }
  return encoded;
}

// "20150830T123600Z"
std::string Timestamp(int64_t now_s) {
  const std::time_t seconds = now_s;
  std::tm utc = {};
  gmtime_r(&seconds, &utc);
  char text[64];
  const size_t size = std::strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", &utc);
  return {text, size};
}

// Parameters in the order of their names, then of their values; one without a value gets an empty one.
std::string CanonicalQuery(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> parameters;
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view parameter = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (parameter.empty()) continue;
    const size_t equals = std::min(parameter.find('='), parameter.size());
    parameters.emplace_back(parameter.substr(0, equals), parameter.substr(std::min(equals + 1, parameter.size())));
  }
  std::sort(parameters.begin(), parameters.end());
  std::string canonical;
  for (const auto& [name, value] : parameters) {
    absl::StrAppend(&canonical, canonical.empty() ? "" : "&", name, "=", value);
  }
  return canonical;
}

// Without spaces at its ends; several in a row are one.
std::string CanonicalValue(std::string_view value) {
  std::string canonical;
  bool space = false;
  for (const char c : value) {
    if (c == ' ' || c == '\t') {
      space = !canonical.empty();
      continue;
    }
    if (std::exchange(space, false)) canonical += ' ';
    canonical += c;
  }
  return canonical;
}

}  // namespace

AwsHeaders SignAwsRequest(const AwsKeys& keys, std::string_view region, std::string_view service,
                          const AwsRequest& request, int64_t now_s, bool send_body_hash) {
  const std::string timestamp = Timestamp(now_s);
  const std::string date = timestamp.substr(0, 8);
  const std::string body_hash = Sha256Hex(request.body);
  AwsHeaders added = {{"x-amz-date", timestamp}};
  if (send_body_hash) added.emplace_back("x-amz-content-sha256", body_hash);
  if (!keys.session_token.empty()) added.emplace_back("x-amz-security-token", keys.session_token);

  AwsHeaders headers = added;
  headers.emplace_back("host", std::string(request.host));
  for (const auto& [name, value] : request.headers) headers.emplace_back(absl::AsciiStrToLower(name), value);
  std::stable_sort(headers.begin(), headers.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string canonical_headers;
  std::string signed_names;
  for (size_t i = 0; i < headers.size(); ++i) {
    const std::string value = CanonicalValue(headers[i].second);
    if (i > 0 && headers[i].first == headers[i - 1].first) {
      // The values of one header stand in one line.
      canonical_headers.pop_back();
      absl::StrAppend(&canonical_headers, ",", value, "\n");
      continue;
    }
    absl::StrAppend(&canonical_headers, headers[i].first, ":", value, "\n");
    absl::StrAppend(&signed_names, signed_names.empty() ? "" : ";", headers[i].first);
  }

  const std::string canonical_request = absl::StrCat(
      std::string(request.method), "\n", request.path.empty() ? "/" : Encode(request.path, /*keep_slash=*/true), "\n",
      CanonicalQuery(request.query), "\n", canonical_headers, "\n", signed_names, "\n", body_hash);
  const std::string scope = absl::StrCat(date, "/", std::string(region), "/", std::string(service), "/aws4_request");
  const std::string to_sign =
      absl::StrCat(kAlgorithm, "\n", timestamp, "\n", scope, "\n", Sha256Hex(canonical_request));
  std::string key = HmacSha256(absl::StrCat("AWS4", keys.secret_access_key), date);
  for (const std::string_view part : {region, service, std::string_view("aws4_request")}) key = HmacSha256(key, part);
  added.emplace_back("authorization",
                     absl::StrCat(kAlgorithm, " Credential=", keys.access_key_id, "/", scope,
                                  ", SignedHeaders=", signed_names, ", Signature=", Hex(HmacSha256(key, to_sign))));
  return added;
}

std::string EncodePathSegment(std::string_view segment) { return Encode(segment, /*keep_slash=*/false); }

}  // namespace signalbox
