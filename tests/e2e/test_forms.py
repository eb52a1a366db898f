"""The two forms: one person alone can see it work."""

from __future__ import annotations

from playwright.sync_api import expect


def test_a_notification_goes_round(live):
    form = live.locator("notification-form")
    form.get_by_label("Kind").select_option("warning")
    form.get_by_label("Title").fill("Disk")
    form.get_by_label("Message").fill("90 % full")
    form.get_by_role("button", name="Send").click()
    expect(form.get_by_role("status")).to_have_text("Sent")
    expect(live.locator("notification-feed .notification.warning")).to_contain_text("90 % full")
    expect(form.get_by_label("Title")).to_have_value("")


def test_an_activity_goes_round(live):
    form = live.locator("activity-form")
    form.get_by_label("Who").fill("Ada")
    form.get_by_label("Did what").fill("wrote")
    form.get_by_label("To what").fill("a program")
    live.keyboard.press("Enter")
    expect(live.locator("activity-feed .activity-item")).to_contain_text("Ada wrote a program")


def test_what_the_gateway_refuses_is_said_and_kept(live):
    form = live.locator("notification-form")
    form.get_by_label("Title").fill("   ")
    form.get_by_role("button", name="Send").click()
    expect(form.get_by_role("status")).to_contain_text("title")
    expect(form.get_by_label("Title")).to_have_value("   ")


def test_without_a_gateway_it_says_so_and_keeps_the_text(live, gateway):
    gateway.kill()
    form = live.locator("notification-form")
    form.get_by_label("Title").fill("Lost?")
    form.get_by_role("button", name="Send").click()
    expect(form.get_by_role("status")).to_have_text("Not sent: the server cannot be reached")
    expect(form.get_by_label("Title")).to_have_value("Lost?")
    expect(form.get_by_role("button", name="Send")).to_be_enabled()
