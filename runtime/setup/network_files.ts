import type { Setup } from "./settings.ts";

/** A file to write, its path relative to `/run`. */
export interface SetupFile {
  readonly path: string;
  readonly text: string;
  /** Only root and the group `gatehouse` read it. */
  readonly secret: boolean;
}

/**
 * What the settings mean to the system's parts: systemd-networkd (systemd.network(5)), wpa_supplicant
 * (wpa_supplicant.conf(5)), chrony (chrony.conf(5)), and the environment of what speaks to the district.
 */
export function setupFiles(setup: Setup): SetupFile[] {
  const { box, network, district } = setup;
  const { wifi, login, proxy, nts } = network;
  const files: SetupFile[] = [
    { path: "gatehouse-setup/hostname", text: `${box.name}\n`, secret: false },
    {
      path: "systemd/network/70-setup.network",
      text: networkFile(network, wifi === undefined ? "ether" : "wlan"),
      secret: false,
    },
  ];
  if (wifi !== undefined) {
    const text = `country=${wifi.country}\nnetwork={\n  ssid=${hex(wifi.ssid)}\n  scan_ssid=1\n${
      keys(wifi.passphrase, login)
    }}\n`;
    files.push({ path: "gatehouse-setup/wifi.conf", text, secret: true });
  } else if (login !== undefined) {
    const text = `ap_scan=0\nnetwork={\n${loginKeys("IEEE8021X", login)}  eapol_flags=0\n}\n`;
    files.push({ path: "gatehouse-setup/wired.conf", text, secret: true });
  }
  if (login?.ca !== undefined) {
    files.push({ path: CA, text: `${login.ca.trim()}\n`, secret: false });
  }
  if (nts !== undefined) {
    const hosts = nts.servers.map((one) => `${one}\n`).join("");
    files.push({ path: "gatehouse-nts/servers", text: hosts, secret: false });
  }
  if (nts?.ca !== undefined) {
    files.push(
      { path: NTS_CA, text: `${nts.ca.trim()}\n`, secret: false },
      {
        path: "gatehouse-nts/nts.conf",
        text: `ntstrustedcerts /run/${NTS_CA}\n`,
        secret: false,
      },
    );
  }
  if (proxy !== undefined) {
    const text = `HTTPS_PROXY="${new URL(proxy).href}"\nNO_PROXY=localhost,127.0.0.1\n`;
    files.push({ path: "gatehouse-setup/environment", text, secret: true });
  }
  if (district?.token !== undefined) {
    const text = `${JSON.stringify({ name: box.name, ...district })}\n`;
    files.push({ path: "gatehouse-setup/enrol.json", text, secret: true });
  }
  return files;
}

const CA = "gatehouse-setup/login-ca.pem";
/** Where chrony may read it, which is not in the group `gatehouse`. */
const NTS_CA = "gatehouse-nts/ca.pem";

function networkFile(
  { address, gateway, dns = [], ntp = [] }: Setup["network"],
  type: "ether" | "wlan",
): string {
  const lines = [
    ...["[Match]", `Type=${type}`, "", "[Network]", "MulticastDNS=yes"],
    ...address === undefined ? ["DHCP=yes"] : [`Address=${address}`],
    ...gateway === undefined ? [] : [`Gateway=${gateway}`],
    ...dns.map((one) => `DNS=${one}`),
    ...ntp.map((one) => `NTP=${one}`),
    ...["", "[DHCPv4]", "UseDomains=no"],
  ];
  return `${lines.join("\n")}\n`;
}

function keys(passphrase: string | undefined, login: Setup["network"]["login"]): string {
  if (login !== undefined) return loginKeys("WPA-EAP", login);
  if (passphrase === undefined) return "  key_mgmt=NONE\n";
  // In quotes it is a passphrase; the last quote ends it, so that others may stand in it.
  return `  key_mgmt=WPA-PSK WPA-PSK-SHA256 SAE\n  ieee80211w=1\n  psk="${passphrase}"\n`;
}

function loginKeys(management: string, login: NonNullable<Setup["network"]["login"]>): string {
  const lines = [
    `key_mgmt=${management}`,
    "eap=PEAP TTLS",
    `identity=${hex(login.identity)}`,
    `password=${hex(login.password)}`,
    'phase2="auth=MSCHAPV2"',
    ...login.ca === undefined ? [] : [`ca_cert="/run/${CA}"`],
  ];
  return lines.map((one) => `  ${one}\n`).join("");
}

/** wpa_supplicant takes strings in hex: nothing in them can end them. */
function hex(text: string): string {
  return new TextEncoder().encode(text).toHex();
}
