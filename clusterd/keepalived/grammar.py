"""Every keyword of keepalived.conf(5): None where the document has a place for it, or where nothing is lost without it,
else why it is not carried over.
"""

from collections.abc import Mapping

Keywords = Mapping[str, str | None]

_LIKE = "clusterd has nothing like it"
_PROGRAM = "clusterd runs no programs"
_LEASE = "the lease in etcd decides who is active, not VRRP"
_MAIL = "clusterd sends no mail"
_TRACK = "clusterd tracks no interfaces, files or programs"
_ROUTES = "clusterd sets no routes"
_GARP = "clusterd announces moved addresses by itself"
_PROCESS = "it is about keepalived's own processes"
_ORIGIN = "a check goes from the router to the address of the real server"


def _words(why: str | None, words: str) -> dict[str, str | None]:
    return dict.fromkeys(words.split(), why)


TOP: Keywords = {
    **_words(None, "global_defs vrrp_instance vrrp_sync_group virtual_server virtual_server_group"),
    **_words(_ROUTES, "static_ipaddress static_routes static_rules track_group"),
    **_words(_TRACK, "vrrp_script vrrp_track_process track_process vrrp_track_file track_file bfd_instance"),
    **_words(_TRACK, "interface_up_down_delays linkbeat_interfaces linkbeat_use_polling"),
    **_words("clusterd's checks do not speak TLS", "SSL"),
    **_words(_PROCESS, "net_namespace net_namespace_ipvs namespace_with_ipsets instance use_pid_dir child_wait_time"),
    **_words(_GARP, "garp_group"),
}

GLOBAL_DEFS: Keywords = {
    **_words(None, "router_id vrrp_version lvs_sync_daemon lvs_timeouts"),
    **_words(_MAIL, "notification_email notification_email_from smtp_server smtp_helo_name smtp_connect_timeout"),
    **_words(
        _MAIL, "email_faults smtp_alert smtp_alert_vrrp smtp_alert_checker checker_log_all_failures no_email_faults"
    ),
    **_words("clusterd changes only what differs", "lvs_flush lvs_flush_on_stop lvs_flush_onstop"),
    **_words(_LEASE, "vrrp_mcast_group4 vrrp_mcast_group6 vrrp_strict vrrp_skip_check_adv_addr"),
    **_words(_LEASE, "vrrp_lower_prio_no_advert vrrp_higher_prio_send_advert vrrp_check_unicast_src default_interface"),
    **_words(_LEASE, "vrrp_iptables vrrp_ipsets vrrp_nftables nftables nftables_priority nftables_counters"),
    **_words(_LEASE, "vrrp_down_timer_adverts vrrp_startup_delay vrrp_min_garp vrrp_notify_priority_changes"),
    **_words(_GARP, "vrrp_garp_master_delay vrrp_garp_master_repeat vrrp_garp_lower_prio_delay vrrp_garp_interval"),
    **_words(_GARP, "vrrp_garp_lower_prio_repeat vrrp_garp_master_refresh vrrp_garp_master_refresh_repeat"),
    **_words(_GARP, "vrrp_gna_interval vrrp_garp_extra_if"),
    **_words(_PROGRAM, "script_user enable_script_security startup_script startup_script_timeout shutdown_script"),
    **_words(_PROGRAM, "shutdown_script_timeout notify_fifo notify_fifo_script vrrp_notify_fifo lvs_notify_fifo"),
    **_words(_PROGRAM, "vrrp_notify_fifo_script lvs_notify_fifo_script max_auto_priority"),
    **_words(_PROCESS, "vrrp_priority checker_priority bfd_priority vrrp_no_swap checker_no_swap bfd_no_swap"),
    **_words(
        _PROCESS, "vrrp_rt_priority checker_rt_priority vrrp_rlimit_rttime checker_rlimit_rttime vrrp_cpu_affinity"
    ),
    **_words(_PROCESS, "checker_cpu_affinity process_names process_name vrrp_process_name checker_process_name"),
    **_words(_PROCESS, "bfd_process_name tmp_config_directory config_save_dir reload_file reload_time_file instance"),
    **_words(_PROCESS, "use_pid_dir net_namespace dynamic_interfaces allow_if_changes no_checker_emails umask"),
    **_words(_PROCESS, "random_seed snmp_socket enable_snmp_vrrp enable_snmp_checker enable_snmp_rfc enable_traps"),
    **_words(_PROCESS, "enable_dbus dbus_service_name json_version rs_init_notifies disable_local_igmp nftables_ipvs"),
}

SYNC_GROUP: Keywords = {
    "group": None,
    **_words(
        _TRACK,
        "track_interface track_script track_file track_process track_bfd global_tracking sync_group_tracking_weight",
    ),
    **_words(_PROGRAM, "notify notify_master notify_backup notify_fault notify_stop notify_deleted"),
    **_words(_PROGRAM, "notify_priority_changes"),
    **_words(_MAIL, "smtp_alert"),
}

INSTANCE: Keywords = {
    **_words(None, "state interface virtual_router_id priority advert_int nopreempt preempt accept dont_track_primary"),
    **_words(None, "mcast_src_ip unicast_src_ip unicast_peer virtual_ipaddress virtual_ipaddress_excluded"),
    **_words(None, "down_timer_adverts"),
    **_words(_LEASE, "authentication version preempt_delay no_accept skip_check_adv_addr strict_mode vrf mcast_dst_ip"),
    **_words(_LEASE, "lower_prio_no_advert higher_prio_send_advert check_unicast_src unicast_ttl"),
    **_words(_LEASE, "old_unicast_checksum unicast_fault_no_peer native_ipv6 kernel_rx_buf_size debug track_src_ip"),
    **_words("addresses are added to the interface itself", "use_vmac use_vmac_addr vmac_xmit_base use_ipvlan"),
    **_words(_TRACK, "track_interface track_script track_file track_process track_bfd linkbeat_use_polling"),
    **_words(_GARP, "garp_master_delay garp_master_repeat garp_lower_prio_delay garp_lower_prio_repeat garp_extra_if"),
    **_words(_GARP, "garp_master_refresh garp_master_refresh_repeat"),
    **_words("an address keeps its place when another one goes", "promote_secondaries"),
    **_words(_ROUTES, "virtual_routes virtual_rules"),
    **_words(_PROGRAM, "notify notify_master notify_backup notify_fault notify_stop notify_deleted"),
    **_words(_PROGRAM, "notify_master_rx_lower_pri notify_priority_changes"),
    **_words(_MAIL, "smtp_alert"),
}

# Timing of checks may be said of a virtual server, of one real server and of one check.
TIMING = ("delay_loop", "connect_timeout", "retry", "delay_before_retry")
_TIMING: Keywords = dict.fromkeys([*TIMING, "nb_get_retry"])
_NOTIFY: Keywords = {
    **_words(_PROGRAM, "notify_up notify_down quorum_up quorum_down"),
    **_words(_MAIL, "smtp_alert"),
    **_words(None, "alpha"),  # a server that is not checked yet is not used by clusterd either
    **_words("clusterd checks at once, and leaves the servers as they are when it stops", "omega warmup"),
}

VIRTUAL: Keywords = {
    **_TIMING,
    **_NOTIFY,
    **_words(None, "lb_algo lvs_sched lb_kind lvs_method protocol persistence_timeout persistence_granularity"),
    **_words(None, "real_server sorry_server inhibit_on_failure virtualhost snmp_name quorum hysteresis"),
    **_words(None, "flag-1 flag-2 flag-3 sh-port sh-fallback mh-port mh-fallback ops persistence_engine ip_family"),
    **_words(_LIKE, "sorry_server_inhibit"),
    **_words("a sorry server is reached as the real servers are", "sorry_server_lvs_method"),
    **_words("every router checks, whether it is active or not", "ha_suspend"),
}

REAL: Keywords = {
    **_TIMING,
    **_NOTIFY,
    **_words(None, "weight lb_kind lvs_method inhibit_on_failure virtualhost snmp_name uthreshold lthreshold"),
    **_words(
        None, "HTTP_GET SSL_GET TCP_CHECK SMTP_CHECK DNS_CHECK MISC_CHECK BFD_CHECK PING_CHECK UDP_CHECK FILE_CHECK"
    ),
}
CHECKS = tuple(word for word in REAL if word.isupper())

# The keywords that have a block; all others are one line.
BLOCKS = {*CHECKS, "real_server", "url", "group", "unicast_peer", "virtual_ipaddress", "virtual_ipaddress_excluded"}

CHECK: Keywords = {
    **_TIMING,
    **_words(_ORIGIN, "connect_ip bindto bind_if bind_port fwmark"),
    **_words(None, "alpha connect_port"),
    **_words(_NOTIFY["warmup"], "warmup"),
    **_words("every change of a server's health is logged", "log_all_failures"),
}
HTTP: Keywords = {
    **CHECK,
    **_words(None, "url http_protocol enable_sni"),
    **_words(_LIKE, "fast_recovery"),
}
SMTP: Keywords = {**CHECK, **_words(None, "helo_name"), **_words(_LIKE, "host")}
DNS: Keywords = {**CHECK, **_words(None, "type name")}
PING: Keywords = {**_TIMING, **_words(_NOTIFY["warmup"], "warmup"), **_words(None, "alpha")}
UDP: Keywords = {**CHECK, **_words(None, "require_reply"), **_words(_LIKE, "payload min_reply_length max_reply_length")}
MISC: Keywords = {
    **_TIMING,
    **_words(None, "alpha misc_path misc_timeout user"),
    **_words(_NOTIFY["warmup"], "warmup"),
    **_words("a program says whether the server is well, not which weight it gets", "misc_dynamic"),
}
KINDS: Mapping[str, Keywords] = {
    "HTTP_GET": HTTP,
    "SSL_GET": HTTP,
    "TCP_CHECK": CHECK,
    "SMTP_CHECK": SMTP,
    "DNS_CHECK": DNS,
    "PING_CHECK": PING,
    "UDP_CHECK": UDP,
    "MISC_CHECK": MISC,
}

URL: Keywords = {
    **_words(None, "path status_code virtualhost digest regex"),
    **_words(_LIKE, "regex_no_match regex_options regex_stack regex_min_offset regex_max_offset"),
}
